"""pytest options and fixtures of the torture tests; `run` starts pytest with these options."""

import signal
from pathlib import Path

import pytest

from harness import Harness

recorded_checks = pytest.StashKey[int]()


def pytest_addoption(parser):
    group = parser.getgroup("torture")
    group.addoption("--binary", type=Path, required=True, help="the release binary under test")
    group.addoption("--postgres", required=True, help="URL of a server for test databases")
    group.addoption("--long", action="store_true", help="run the long half too")


def pytest_configure():
    # Without this handler SIGTERM would leave servers and databases behind.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated by SIGTERM", returncode=1))


def pytest_collection_modifyitems(config, items):
    if config.option.long:
        return
    deselected = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if item not in deselected]
    config.hook.pytest_deselected(items=deselected)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Fails a test that ends without a check."""
    yield
    if not item.stash.get(recorded_checks, 0):
        pytest.fail("the test recorded no check", pytrace=False)


def pytest_sessionfinish(session):
    """Fails the run when a selected test did not run or was skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = len(reporter.stats.get("passed", []))
    if session.exitstatus == pytest.ExitCode.OK and passed != session.testscollected:
        reporter.write_line("")
        reporter.write_line(f"{passed} of {session.testscollected} selected tests ran and passed")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def session_harness(pytestconfig):
    option = pytestconfig.option
    harness = Harness(option.binary, option.postgres, option.long)
    yield harness
    harness.close()


@pytest.fixture
def harness(session_harness):
    """The harness; the processes that a test started are killed after the test."""
    yield session_harness
    session_harness.kill_processes()


@pytest.fixture
def check(subtests, request):
    """Records a named check as a subtest, so that a failure does not hide the following checks."""
    stash = request.node.stash

    def check(name, condition, figures="", details=()):
        stash[recorded_checks] = stash.get(recorded_checks, 0) + 1
        with subtests.test(f"{name}: {figures}" if figures else name):
            if not condition:
                message = "\n".join([figures or "the condition is false", *details])
                pytest.fail(message, pytrace=False)

    return check


@pytest.fixture
def database_url(harness, request):
    """URL of a new, empty database; on SQLite unless the test is parametrized with an engine."""
    return harness.new_database(getattr(request, "param", "sqlite"))


@pytest.fixture
def second_database_url(harness, database_url):
    """URL of another empty database on the engine of `database_url`."""
    return harness.new_database(database_url.split(":")[0])


@pytest.fixture
def server(harness, database_url, request):
    """A running server on `database_url`, with the options of the marker `server_options`."""
    marker = request.node.get_closest_marker("server_options")
    return harness.start_server(database_url, *(marker.args if marker else ()))

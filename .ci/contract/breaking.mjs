// Compares schema.graphql with the schema of the last release. docs/schema.md must list every
// breaking change under the heading "Breaking changes", by its path: "- `User.about`: is `aboutMe`
// now".
//
//     node breaking.mjs [released.graphql [schema.graphql [schema.md]]]
//
// A release, and only a release, copies schema.graphql to released.graphql, sets RELEASE to its
// version and SHA-256, and empties the list.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

// Guards released.graphql: a commit that overwrites it together with a breaking change would hide
// the change.
const RELEASE = {
  version: "0.1.0",
  sha256: "fd27d917a5fe61b8b59e623d6ac75a519e3a8580f3d5bb19fee93a0a10372666",
};

const FILES = ["released.graphql", "../../schema.graphql", "../../docs/schema.md"];
const [released, current, documentation] = FILES.map((file, n) =>
  readFileSync(process.argv[2 + n] ?? new URL(file, import.meta.url), "utf8"),
);

if (!process.argv[2]) {
  test(`released.graphql is the schema of ${RELEASE.version}`, () => {
    const sha256 = createHash("sha256").update(released).digest("hex");
    const advice = [
      `The SHA-256 of released.graphql is ${sha256}. Revert the change.`,
      "If this is the commit of a release, write its version and this SHA-256 into RELEASE.",
    ];
    assert.equal(sha256, RELEASE.sha256, advice.join(" "));
  });
}

const section = /^## Breaking changes$(.*?)(?=^##? |$(?![^]))/ms.exec(documentation)?.[1] ?? "";
// The names before the colon of each list item.
const items = [...section.matchAll(/^[*-] ([^:]*):/gm)].map(([, names]) => names);
const documented = items.flatMap((names) =>
  [...names.matchAll(/`([^`]+)`/g)].map(([, path]) => path),
);

const changes = await diff(buildSchema(released), buildSchema(current));
// The library does not count a removed or changed default as breaking. A client that relies on it
// breaks.
const losesDefault = ({ meta }) => (meta.oldDefaultValue ?? undefined) !== undefined;
const breaking = changes.filter(
  (change) => change.criticality.level === CriticalityLevel.Breaking || losesDefault(change),
);

for (const { path, message } of breaking) {
  test(`the breaking change of ${path} is listed in docs/schema.md: ${message}`, () =>
    assert(documented.includes(path)));
}

for (const path of documented) {
  test(`${path}, listed in docs/schema.md, is a breaking change`, () =>
    assert(breaking.some((change) => change.path === path)));
}

const counts = `${breaking.length} of ${changes.length} changes since the last release`;
test(`docs/schema.md lists all breaking changes: ${counts}`, () => {
  assert.deepEqual(
    breaking.filter(({ path }) => !documented.includes(path)),
    [],
  );
});

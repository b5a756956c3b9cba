import { startTransition, Suspense, useCallback, useEffect, type FormEvent } from "react";
import { graphql, useMutation, usePreloadedQuery, useQueryLoader, type PreloadedQuery } from "react-relay";
import type { HomeLogoutMutation } from "./__generated__/HomeLogoutMutation.graphql";
import type { HomeQuery } from "./__generated__/HomeQuery.graphql";
import { Conversation } from "./Conversation";
import { ErrorBoundary } from "./ErrorBoundary";
import { FollowRequests } from "./FollowRequests";
import { Notifications } from "./Notifications";
import { Profile } from "./Profile";
import { ProtectButton } from "./ProtectButton";
import { Search } from "./Search";
import { Timeline } from "./Timeline";
import { useHash } from "./useHash";
import { UserCard } from "./UserCard";

const homeQuery = graphql`
  query HomeQuery {
    viewer @required(action: THROW) {
      timelineMarker
      user {
        ...UserCard_user
        ...ProtectButton_user
        ...Timeline_user
      }
      ...FollowRequests_viewer
      ...Notifications_viewer
    }
  }
`;

export function Home({ onSignOut }: { onSignOut: () => void }) {
  const [query, load] = useQueryLoader<HomeQuery>(homeQuery);
  // A transition shows the previous page until the new one has loaded.
  const read = useCallback(() => startTransition(() => load({}, { fetchPolicy: "network-only" })), [load]);
  useEffect(read, [read]);
  return (
    <>
      <Header onSignOut={onSignOut} />
      {query && <Columns query={query} onReload={read} />}
    </>
  );
}

function Columns({ query, onReload }: { query: PreloadedQuery<HomeQuery>; onReload: () => void }) {
  const { viewer } = usePreloadedQuery<HomeQuery>(homeQuery, query);
  const { user, timelineMarker } = viewer;
  const hash = useHash();
  return (
    <div className="columns">
      <main>
        {/* With the key, a timeline that was read again starts a new stream at its own cursor. */}
        <Timeline key={query.fetchKey} user={user} marker={timelineMarker} onReload={onReload} />
      </main>
      <aside>
        <section aria-label="You">
          <UserCard user={user} />
          <ProtectButton user={user} />
          <FollowRequests viewer={viewer} />
          <Notifications viewer={viewer} onReload={onReload} />
        </section>
        {hash && (
          <ErrorBoundary key={hash}>
            <Suspense fallback={<p className="quiet">Loading…</p>}>
              <Opened hash={hash} />
            </Suspense>
          </ErrorBoundary>
        )}
      </aside>
    </div>
  );
}

/** What the URL names: `#search=words`, `#post=id`, or the profile `#susan`. */
function Opened({ hash }: { hash: string }) {
  const [, kind, value = ""] = /^(search|post)=(.*)$/.exec(hash) ?? [];
  switch (kind) {
    case "search":
      return <Search query={value} />;
    case "post":
      return <Conversation id={value} />;
    default:
      return <Profile username={hash} />;
  }
}

function Header({ onSignOut }: { onSignOut: () => void }) {
  const [logout] = useMutation<HomeLogoutMutation>(graphql`
    mutation HomeLogoutMutation {
      logout {
        changed
      }
    }
  `);

  // Opens what a form asks for, by the hash of the URL.
  const open = (prefix: string) => (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    location.hash = prefix + encodeURIComponent(String(new FormData(event.currentTarget).get("text")));
    event.currentTarget.reset();
  };

  return (
    <header>
      <h1>Rookery</h1>
      <form role="search" onSubmit={open("search=")}>
        <input name="text" aria-label="Search" placeholder="Search" maxLength={200} required />
      </form>
      <form role="search" onSubmit={open("")}>
        <input name="text" aria-label="Find a user" placeholder="Find a user" required />
      </form>
      <button onClick={() => logout({ variables: {}, onCompleted: onSignOut, onError: onSignOut })}>Log out</button>
    </header>
  );
}

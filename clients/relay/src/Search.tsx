import { graphql, useLazyLoadQuery, usePaginationFragment } from "react-relay";
import type { SearchPaginationQuery } from "./__generated__/SearchPaginationQuery.graphql";
import type { SearchQuery } from "./__generated__/SearchQuery.graphql";
import type { Search_posts$key } from "./__generated__/Search_posts.graphql";
import { Post } from "./Post";

const PAGE = 10;

/** The users and the posts that a search finds. */
export function Search({ query }: { query: string }) {
  const data = useLazyLoadQuery<SearchQuery>(
    graphql`
      query SearchQuery($query: String!) {
        searchUsers(query: $query, first: 5) {
          id
          username
          displayName
        }
        ...Search_posts @arguments(query: $query)
      }
    `,
    { query },
    { fetchPolicy: "store-and-network" },
  );
  return (
    <section aria-label={`Search for ${query}`}>
      <div className="card">
        <h3>Search for {query}</h3>
        <ul aria-label="Users found">
          {data.searchUsers.map(({ id, username, displayName }) => (
            <li key={id}>
              <a href={`#${username}`}>{username}</a>
              <span className="quiet">{displayName}</span>
            </li>
          ))}
        </ul>
      </div>
      <Posts posts={data} />
    </section>
  );
}

function Posts({ posts }: { posts: Search_posts$key }) {
  const { data, hasNext, isLoadingNext, loadNext } = usePaginationFragment<SearchPaginationQuery, Search_posts$key>(
    graphql`
      fragment Search_posts on Query
      @refetchable(queryName: "SearchPaginationQuery")
      @argumentDefinitions(
        query: { type: "String!" }
        first: { type: "Int", defaultValue: 10 }
        after: { type: "String" }
      ) {
        searchPosts(query: $query, first: $first, after: $after)
          @connection(key: "Search_searchPosts", filters: ["query"]) {
          edges {
            node {
              id
              ...Post_post
            }
          }
        }
      }
    `,
    posts,
  );
  return (
    <>
      <ol aria-label="Posts found">
        {data.searchPosts.edges.map(({ node }) => (
          <Post key={node.id} post={node} />
        ))}
      </ol>
      {hasNext && (
        <button className="more" disabled={isLoadingNext} onClick={() => loadNext(PAGE)}>
          Older results
        </button>
      )}
    </>
  );
}

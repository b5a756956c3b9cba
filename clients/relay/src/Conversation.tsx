import { graphql, useLazyLoadQuery, usePaginationFragment } from "react-relay";
import type { ConversationPaginationQuery } from "./__generated__/ConversationPaginationQuery.graphql";
import type { ConversationQuery } from "./__generated__/ConversationQuery.graphql";
import type { Conversation_post$key } from "./__generated__/Conversation_post.graphql";
import { Compose } from "./Compose";
import { Post } from "./Post";

const PAGE = 10;

/** A post between the posts that it replies to, directly or indirectly, and the replies to it. */
export function Conversation({ id }: { id: string }) {
  const { node } = useLazyLoadQuery<ConversationQuery>(
    graphql`
      query ConversationQuery($id: ID!) {
        node(id: $id) {
          ...Conversation_post @alias(as: "post")
        }
      }
    `,
    { id },
    { fetchPolicy: "store-and-network" },
  );
  if (!node?.post) return <p role="alert">There is no such post.</p>;
  return (
    <section aria-label="Conversation">
      <Posts post={node.post} />
    </section>
  );
}

function Posts({ post }: { post: Conversation_post$key }) {
  const { data, hasNext, isLoadingNext, loadNext } = usePaginationFragment<
    ConversationPaginationQuery,
    Conversation_post$key
  >(
    graphql`
      fragment Conversation_post on Post
      @refetchable(queryName: "ConversationPaginationQuery")
      @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "String" }) {
        id
        viewerCanReply
        ...Post_post
        ancestors {
          id
          ...Post_post
        }
        replies(first: $first, after: $after) @connection(key: "Conversation_replies") {
          __id
          edges {
            node {
              id
              ...Post_post
            }
          }
        }
      }
    `,
    post,
  );
  const { id, ancestors, replies, viewerCanReply } = data;
  return (
    <>
      <ol aria-label="Posts before">
        {ancestors.map((ancestor) => (
          <Post key={ancestor.id} post={ancestor} />
        ))}
      </ol>
      <ol aria-label="Post">
        <Post post={data} />
      </ol>
      <ol aria-label="Replies">
        {replies.edges.map(({ node }) => (
          <Post key={node.id} post={node} />
        ))}
      </ol>
      {hasNext && (
        <button className="more" disabled={isLoadingNext} onClick={() => loadNext(PAGE)}>
          More replies
        </button>
      )}
      {viewerCanReply && <Compose inReplyToId={id} replies={replies.__id} />}
    </>
  );
}

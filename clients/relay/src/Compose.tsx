import { useState, type FormEvent } from "react";
import { graphql, useMutation } from "react-relay";
import type { ComposeMutation } from "./__generated__/ComposeMutation.graphql";
import { Errors } from "./Errors";

type UserErrors = ComposeMutation["response"]["createPost"]["userErrors"];

/** What the text is: a post for the timeline with this connection, or a reply to a post. */
type Props = { timeline: string } | { inReplyToId: string; replies: string };

/**
 * A form for a new post or a reply. The payload inserts the new post at the head of the timeline, or
 * at the end of the replies. A reply gets into the timeline by its event.
 */
export function Compose(props: Props) {
  const isReply = "replies" in props;
  const [body, setBody] = useState("");
  // Each text has its own key. After a lost response the same button sends the same key again, and
  // the server creates no other post.
  const [idempotencyKey, setKey] = useState(() => crypto.randomUUID());
  const [errors, setErrors] = useState<UserErrors>([]);
  const [createPost, isPosting] = useMutation<ComposeMutation>(graphql`
    mutation ComposeMutation($input: CreatePostInput!, $timelines: [ID!]!, $replies: [ID!]!) {
      createPost(input: $input) {
        post @appendNode(connections: $replies, edgeTypeName: "PostEdge") {
          ...Post_post
          inReplyTo {
            ...Reactions_post
          }
        }
        timelineEdge @prependEdge(connections: $timelines) {
          ...Timeline_edge
          node {
            author {
              ...UserCard_user
            }
          }
        }
        userErrors {
          message
        }
      }
    }
  `);

  function onWrite(text: string) {
    setBody(text);
    setKey(crypto.randomUUID());
  }

  function onSubmit(event: FormEvent) {
    event.preventDefault();
    createPost({
      variables: {
        input: { body, idempotencyKey, inReplyToId: isReply ? props.inReplyToId : null },
        timelines: isReply ? [] : [props.timeline],
        replies: isReply ? [props.replies] : [],
      },
      onCompleted({ createPost: { userErrors } }) {
        setErrors(userErrors);
        if (userErrors.length === 0) onWrite("");
      },
      onError: (error) => setErrors([error]),
    });
  }

  return (
    <form className="card compose" onSubmit={onSubmit}>
      <textarea
        aria-label={isReply ? "New reply" : "New post"}
        placeholder={isReply ? "What do you think?" : "What is new?"}
        rows={3}
        value={body}
        onChange={(event) => onWrite(event.target.value)}
      />
      <Errors errors={errors} />
      <button className="primary" disabled={isPosting || body.trim() === ""}>
        {isReply ? "Reply" : "Post"}
      </button>
    </form>
  );
}

import { useState, type FormEvent } from "react";
import { graphql, useMutation } from "react-relay";
import type { ComposeMutation } from "./__generated__/ComposeMutation.graphql";
import { Errors } from "./Errors";

type UserErrors = ComposeMutation["response"]["createPost"]["userErrors"];

/** A form for a new post. The edge in the payload is inserted at the head of the timeline. */
export function Compose({ timeline }: { timeline: string }) {
  const [body, setBody] = useState("");
  const [errors, setErrors] = useState<UserErrors>([]);
  const [createPost, isPosting] = useMutation<ComposeMutation>(graphql`
    mutation ComposeMutation($input: CreatePostInput!, $connections: [ID!]!) {
      createPost(input: $input) {
        timelineEdge @prependEdge(connections: $connections) {
          cursor
          node {
            createdAt
            ...Post_post
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

  function onSubmit(event: FormEvent) {
    event.preventDefault();
    createPost({
      variables: { input: { body }, connections: [timeline] },
      onCompleted({ createPost: { userErrors } }) {
        setErrors(userErrors);
        if (userErrors.length === 0) setBody("");
      },
      onError: (error) => setErrors([error]),
    });
  }

  return (
    <form className="card compose" onSubmit={onSubmit}>
      <textarea
        aria-label="New post"
        placeholder="What is new?"
        rows={3}
        value={body}
        onChange={(event) => setBody(event.target.value)}
      />
      <Errors errors={errors} />
      <button className="primary" disabled={isPosting || body.trim() === ""}>
        Post
      </button>
    </form>
  );
}

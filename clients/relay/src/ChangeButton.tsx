import { useState } from "react";
import { useMutation } from "react-relay";
import type { GraphQLTaggedNode, MutationParameters } from "relay-runtime";
import { Errors } from "./Errors";

type UserErrors = readonly { readonly message: string }[];
interface Change extends MutationParameters {
  readonly response: { readonly change: { readonly userErrors: UserErrors } };
}
interface Props<M extends Change> {
  label: string;
  mutation: GraphQLTaggedNode;
  variables: M["variables"];
}

/**
 * A button for a mutation whose payload has the alias `change`. The payload updates the page, and
 * the button shows the user errors.
 */
export function ChangeButton<M extends Change>({ label, mutation, variables }: Props<M>) {
  const [errors, setErrors] = useState<UserErrors>([]);
  const [commit, isChanging] = useMutation<M>(mutation);
  const onClick = () =>
    commit({
      variables,
      onCompleted: ({ change }) => setErrors(change.userErrors),
      onError: (error) => setErrors([error]),
    });
  return (
    <>
      <button className="link" disabled={isChanging} onClick={onClick}>
        {label}
      </button>
      <Errors errors={errors} />
    </>
  );
}

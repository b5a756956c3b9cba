type Messages = readonly { readonly message: string }[];

/** Shows the messages of `userErrors` or of other errors. */
export const Errors = ({ errors }: { errors: Messages }) =>
  errors.map(({ message }) => (
    <p role="alert" key={message}>
      {message}
    </p>
  ));

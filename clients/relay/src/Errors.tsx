type Messages = readonly { readonly message: string }[];

/** What went wrong, for the person at the screen: `userErrors` and whatever else has a message. */
export const Errors = ({ errors }: { errors: Messages }) =>
  errors.map(({ message }) => (
    <p role="alert" key={message}>
      {message}
    </p>
  ));

import { useState, type FormEvent, type InputHTMLAttributes } from "react";
import { graphql, useMutation } from "react-relay";
import type { SignInLoginMutation } from "./__generated__/SignInLoginMutation.graphql";
import type { SignInRegisterMutation } from "./__generated__/SignInRegisterMutation.graphql";
import { Errors } from "./Errors";

type Payload = SignInLoginMutation["response"]["login"];
type UserErrors = Payload["userErrors"];

export function SignIn({ onSignIn }: { onSignIn: (token: string) => void }) {
  const [isNew, setIsNew] = useState(false);
  const [errors, setErrors] = useState<UserErrors>([]);

  const [login, isLoggingIn] = useMutation<SignInLoginMutation>(graphql`
    mutation SignInLoginMutation($input: LoginInput!) {
      login(input: $input) {
        token
        userErrors {
          message
          path
        }
      }
    }
  `);
  const [register, isRegistering] = useMutation<SignInRegisterMutation>(graphql`
    mutation SignInRegisterMutation($input: RegisterInput!) {
      register(input: $input) {
        token
        userErrors {
          message
          path
        }
      }
    }
  `);

  // Expected failures are data. All other failures, such as a network failure, are errors.
  function onPayload({ token, userErrors }: Payload) {
    setErrors(userErrors);
    if (token) onSignIn(token);
  }
  const onError = ({ message }: Error) => setErrors([{ message, path: null }]);

  function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name));
    const input = { username: text("username"), password: text("password") };
    if (isNew) {
      register({
        variables: { input: { ...input, email: text("email") } },
        onCompleted: ({ register }) => onPayload(register),
        onError,
      });
    } else {
      login({ variables: { input }, onCompleted: ({ login }) => onPayload(login), onError });
    }
  }

  function toggle() {
    setIsNew(!isNew);
    setErrors([]);
  }

  // A user error has the path of its argument, such as ["input", "email"], so a form can show it
  // beside the field.
  const of = (name?: string) => errors.filter(({ path }) => path?.[1] === name);
  return (
    <main className="sign-in">
      <h1>Rookery</h1>
      <form className="card" onSubmit={onSubmit}>
        <Field label="Username" name="username" errors={of("username")} autoComplete="username" />
        {isNew && <Field label="E-mail" name="email" errors={of("email")} type="email" autoComplete="email" />}
        <Field
          label="Password"
          name="password"
          errors={of("password")}
          type="password"
          autoComplete={isNew ? "new-password" : "current-password"}
        />
        <Errors errors={of()} />
        <button className="primary" disabled={isLoggingIn || isRegistering}>
          {isNew ? "Register" : "Log in"}
        </button>
        <button type="button" className="link" onClick={toggle}>
          {isNew ? "I have an account" : "I am new here"}
        </button>
      </form>
    </main>
  );
}

type FieldProps = InputHTMLAttributes<HTMLInputElement> & { label: string; errors: UserErrors };

function Field({ label, errors, ...input }: FieldProps) {
  return (
    <div>
      <label>
        {label}
        <input {...input} aria-invalid={errors.length > 0} required />
      </label>
      <Errors errors={errors} />
    </div>
  );
}

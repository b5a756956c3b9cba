import { Suspense, useMemo, useState } from "react";
import { RelayEnvironmentProvider } from "react-relay";
import { createEnvironment } from "./environment";
import { ErrorBoundary } from "./ErrorBoundary";
import { Home } from "./Home";
import { SignIn } from "./SignIn";

export function App() {
  // sessionStorage belongs to one tab, and is deleted with it.
  const [token, setToken] = useState(() => sessionStorage.getItem("token"));

  function signIn(token: string) {
    sessionStorage.setItem("token", token);
    setToken(token);
  }
  function signOut() {
    sessionStorage.removeItem("token");
    setToken(null);
  }

  const environment = useMemo(() => createEnvironment(token, signOut), [token]);
  return (
    <RelayEnvironmentProvider environment={environment}>
      <ErrorBoundary key={token}>
        <Suspense fallback={<p className="quiet">Loading…</p>}>
          {token ? <Home onSignOut={signOut} /> : <SignIn onSignIn={signIn} />}
        </Suspense>
      </ErrorBoundary>
    </RelayEnvironmentProvider>
  );
}

import { Component, type ReactNode } from "react";

/** Shows the error of a failed query in place of its component. The rest of the page stays. */
export class ErrorBoundary extends Component<{ children: ReactNode }, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <p role="alert">
        {this.state.error.message} <button onClick={() => this.setState({ error: undefined })}>Try again</button>
      </p>
    );
  }
}

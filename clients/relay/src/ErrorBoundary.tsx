import { Component, type ReactNode } from "react";

/** A query that fails throws where it is read; the rest of the page lives on. */
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

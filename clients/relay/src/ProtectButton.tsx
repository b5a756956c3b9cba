import { graphql, useFragment } from "react-relay";
import type { ProtectButton_user$key } from "./__generated__/ProtectButton_user.graphql";
import type { ProtectButtonMutation } from "./__generated__/ProtectButtonMutation.graphql";
import { ChangeButton } from "./ChangeButton";

const protect = graphql`
  mutation ProtectButtonMutation($isProtected: Boolean!) {
    change: updateProfile(input: { isProtected: $isProtected }) {
      user {
        isProtected
      }
      userErrors {
        message
      }
    }
  }
`;

/** Protects the viewer's account, or ends the protection. */
export function ProtectButton({ user }: { user: ProtectButton_user$key }) {
  const { isProtected } = useFragment(
    graphql`
      fragment ProtectButton_user on User {
        isProtected
      }
    `,
    user,
  );
  return (
    <div className="tools">
      <ChangeButton<ProtectButtonMutation>
        label={isProtected ? "End protection" : "Protect my account"}
        mutation={protect}
        variables={{ isProtected: !isProtected }}
      />
    </div>
  );
}

// What has changed in the schema since the last release. What breaks clients must be told in docs/schema.md, in the
// list under the heading "Breaking changes", by its path: "- `User.about`: is `aboutMe` now".
//
//     node breaking.mjs [released.graphql [schema.graphql [schema.md]]]
//
// With a release, and only then, released.graphql becomes a copy of schema.graphql, RELEASE its version and SHA-256,
// and the list begins anew.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";
import { report } from "./checks.mjs";

// Who overwrites released.graphql together with a breaking change would hide it.
const RELEASE = { version: "0.1.0", sha256: "fd27d917a5fe61b8b59e623d6ac75a519e3a8580f3d5bb19fee93a0a10372666" };

const ours = ["released.graphql", "../../schema.graphql", "../../docs/schema.md"];
const [released, present, told] = ours.map((file, n) =>
  readFileSync(process.argv[2 + n] ?? new URL(file, import.meta.url), "utf8"));

if (!process.argv[2]) {
  const sha256 = createHash("sha256").update(released).digest("hex");
  report(sha256 === RELEASE.sha256, `released.graphql is the schema of ${RELEASE.version}`,
    `its SHA-256 is ${sha256}; take the change back, or, if this is the commit of a release, write that version and this into RELEASE in breaking.mjs`);
}

const chapter = /^## Breaking changes$(.*?)(?=^##? |$(?![^]))/ms.exec(told)?.[1] ?? "";
// The names before the colon.
const entries = [...chapter.matchAll(/^[*-] ([^:]*):/gm)].map(([, names]) => names);
const paths = entries.flatMap((names) => [...names.matchAll(/`([^`]+)`/g)].map(([, path]) => path));

const changes = await diff(buildSchema(released), buildSchema(present));
// To the library, a default that is gone or another is not breaking; to whoever relied on it, it is.
const losesDefault = ({ meta }) => (meta.oldDefaultValue ?? undefined) !== undefined;
const isBreaking = (change) => change.criticality.level === CriticalityLevel.Breaking || losesDefault(change);
const breaking = changes.filter(isBreaking);

const isTold = ({ path }) => paths.includes(path);

for (const change of breaking) {
  report(isTold(change), `a breaking change is told in docs/schema.md: ${change.path}: ${change.message}`);
}
for (const path of paths) {
  report(breaking.some((change) => change.path === path), `what docs/schema.md tells is a breaking change: ${path}`);
}
report(breaking.every(isTold), `${changes.length} changes since the last release, ${breaking.length} of them breaking, none of them silent`);

// Options of the generator for kinds that need what is rare in documents.
const SUBSCRIPTIONS = { operations: [[1, "subscription"]] };
const OBJECTS = {
  operations: [
    [3, "mutation"],
    [1, "query"],
  ],
  prefer: ["user", "follow", "createPost"],
};
const ONE_OF = {
  operations: [
    [1, "mutation"],
    [2, "query"],
  ],
  prefer: ["user", "follow", "unfollow"],
};
const LISTS = {
  operations: [
    [3, "query"],
    [1, "subscription"],
  ],
  prefer: ["nodes", "relationshipEvents"],
};

const withOptions = (options) => (kind) => Object.assign(kind, { options });

export const inSubscriptions = withOptions(SUBSCRIPTIONS);
export const inMutations = withOptions({ operations: [[1, "mutation"]] });
export const withObjects = withOptions({ ...OBJECTS, variableRate: 0.5 });
export const withOneOf = withOptions({ ...ONE_OF, variableRate: 0.5 });
export const withLists = withOptions({ ...LISTS, variableRate: 0.5 });
export const withVariables = withOptions({ variableRate: 0.6 });

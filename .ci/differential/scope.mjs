// What is selected in one place of a document.
import { tokensOf } from "./syntax.mjs";

const textOf = (args) =>
  args
    .map((each) => tokensOf(each).join(" "))
    .sort()
    .join();

// The response keys of a selection, each with its field, its arguments, its parent type and the
// scope of what is selected below. Equal keys must be of equal fields, also across fragments.
export class Scope extends Map {
  // Whether the two can be selected in one place.
  fits(other) {
    return [...other].every(([key, { field, args, scope }]) => {
      const mine = this.get(key);
      if (!mine) return true;
      const isSameField = mine.field.name === field.name;
      const isSameType = String(mine.field.type) === String(field.type);
      const isSameCall = isSameField && isSameType && textOf(mine.args) === textOf(args);
      return isSameCall && mine.scope.fits(scope);
    });
  }

  merge(other) {
    for (const [key, { scope, ...rest }] of other) {
      if (!this.has(key)) this.set(key, { ...rest, scope: new Scope() });
      this.get(key).scope.merge(scope);
    }
  }
}

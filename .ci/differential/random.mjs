// A small pseudo-random number generator, so that a seed gives the same documents on every machine.
//
// SEED is the seed of the run, 1 by default. Document n of a run depends on the seed and n only.
export const SEED = Number(process.env.SEED ?? 1);

export class Random {
  constructor(...seeds) {
    this.state = 0;
    for (const seed of seeds) this.state = (Math.imul(this.state, 31) ^ mix(seed)) | 0;
  }

  // A number from 0 to 1, without 1: the generator mulberry32.
  next() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let n = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    n ^= n + Math.imul(n ^ (n >>> 7), n | 61);
    return ((n ^ (n >>> 14)) >>> 0) / 4294967296;
  }

  // A whole number from 0 to n - 1.
  below(n) {
    return Math.floor(this.next() * n);
  }

  between(from, to) {
    return from + this.below(to - from + 1);
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  // Takes pairs of a weight and a value.
  weighted(...pairs) {
    let rest = this.next() * pairs.reduce((sum, [weight]) => sum + weight, 0);
    return (pairs.find(([weight]) => (rest -= weight) < 0) ?? pairs.at(-1))[1];
  }

  shuffle(list) {
    const result = [...list];
    for (let n = result.length - 1; n > 0; n--) {
      const other = this.below(n + 1);
      [result[n], result[other]] = [result[other], result[n]];
    }
    return result;
  }
}

function mix(seed) {
  let n = Math.imul(seed ^ (seed >>> 16), 0x21f0aaad);
  n = Math.imul(n ^ (n >>> 15), 0x735a2d97);
  return n ^ (n >>> 15);
}

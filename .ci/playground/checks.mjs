// A line for each check; the program that imports this fails when one of them did.
import { stripVTControlCharacters } from 'node:util';

export let failures = 0;

export async function check(what, run) {
  try {
    await run();
    console.log(`ok: ${what}`);
  } catch (error) {
    failures += 1;
    console.log(`not ok: ${what} (${stripVTControlCharacters(error.message).replace(/\s+/g, ' ').slice(0, 400)})`);
  }
}

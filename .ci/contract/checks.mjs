// What all suites share: one line for each check, and an exit code.

// A check that has not ended by then has failed.
const LONG = 20_000;

export function report(good, name, detail = "") {
  const one = (text) => String(text).replace(/\s+/g, " ").trim();
  console.log(good ? `ok: ${one(name)}` : `not ok: ${one(name)}${detail && `: ${one(detail).slice(0, 1000)}`}`);
  if (!good) process.exitCode = 1;
}

export async function check(name, run, long = LONG) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing after ${long / 1000} s`)), long);
  });
  try {
    await Promise.race([run(), late]);
    report(true, name);
  } catch (error) {
    report(false, name, error.message);
  }
  clearTimeout(timer);
}

export function address() {
  const url = process.argv[2];
  if (!url) {
    console.error(`usage: node ${process.argv[1].split("/").at(-1)} http://127.0.0.1:8000/graphql`);
    process.exit(2);
  }
  return url;
}

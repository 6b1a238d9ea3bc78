/** Says on standard error what is going on, so that standard output holds nothing but the results. */
export function progress(measurement: string, text: string): void {
  const seconds = (performance.now() / 1000).toFixed(1).padStart(6);
  process.stderr.write(`${seconds} s  ${measurement}: ${text}\n`);
}

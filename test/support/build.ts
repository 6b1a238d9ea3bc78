/** Builds the service and its pages once before the tests: real processes, threads and browsers run what is built. */
import { execFileSync } from 'node:child_process';

export default function build(): void {
  execFileSync('npm', ['run', 'build', '--silent'], { stdio: 'inherit' });
}

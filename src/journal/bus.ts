/** The bus is part of the port where a journal is shared; those who only talk over it know no journal. */
export type { Bus } from '../bus.js';

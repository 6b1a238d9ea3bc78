/**
 * A way for nodes to tell each other what is not worth recording. What is told may get lost; who is told
 * something parses it.
 */
export interface Bus {
  /** Tells every other node that listens to a topic, and this one. */
  tell(topic: string, message: unknown): void;
  /** Hears what is told, and gives the answer to what is asked; returns the function that ends it. */
  listen(topic: string, hear: (message: unknown) => unknown): () => void;
  /** Asks whoever listens to a topic; rejects if nobody answers in time. */
  ask(topic: string, message: unknown): Promise<unknown>;
}

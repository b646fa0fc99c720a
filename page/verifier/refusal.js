// How a step ends other than well: a word for programs, a sentence for people.
//
// `Rejected` means that bytes could not be read as what they should be; `Refuted` that a step found
// a contradiction; `NotRun` that a step does not apply. `Unsupported` is none of these: this browser
// lacks what verification needs, and nothing was said about the file. A mistake of ours is an
// ordinary Error and is never turned into one of them.

export class Rejected extends Error {
  constructor(reason, detail) {
    super(`${reason}: ${detail}`);
    this.reason = reason;
    this.detail = detail;
  }
}

export class Refuted extends Error {
  constructor(reason, zh, en) {
    super(`${reason}: ${en}`);
    this.reason = reason;
    this.words = { zh, en };
  }
}

export class NotRun extends Error {
  constructor(zh, en) {
    super(en);
    this.words = { zh, en };
  }
}

export class Unsupported extends Error {
  constructor(zh, en) {
    super(en);
    this.words = { zh, en };
  }
}

export function refuse(reason, detail) {
  throw new Rejected(reason, detail);
}

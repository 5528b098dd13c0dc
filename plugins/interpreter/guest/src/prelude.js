// Runs once, before any lambda. Lambdas see no time and no chance, and what they do to the globals of the language would
// be seen by other rows, in an order that depends on the partitions: so the one is refused, and the other frozen.
(function () {
  'use strict';
  const refuse = (what, instead) => {
    throw new TypeError(`${what} is not available: a lambda answers the same for the same element every time; ${instead}`);
  };
  const RealDate = Date;
  const construct = Reflect.construct;
  const hide = (object, name, value) =>
    Object.defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });

  function LambdaDate(...parts) {
    if (new.target === undefined) refuse('Date()', 'take the time from the data');
    if (parts.length === 0) refuse('new Date() without a time', 'take the time from the data');
    return construct(RealDate, parts, new.target === LambdaDate ? RealDate : new.target);
  }
  hide(LambdaDate, 'name', 'Date');
  hide(LambdaDate, 'length', 7);
  hide(LambdaDate, 'parse', RealDate.parse);
  hide(LambdaDate, 'UTC', RealDate.UTC);
  hide(LambdaDate, 'now', function now() { refuse('Date.now()', 'take the time from the data'); });
  Object.defineProperty(LambdaDate, 'prototype', { value: RealDate.prototype, writable: false });
  hide(RealDate.prototype, 'constructor', LambdaDate);
  hide(globalThis, 'Date', LambdaDate);
  hide(Math, 'random', function random() { refuse('Math.random()', 'derive a number from the element, or use sample'); });

  for (const name of ['performance', 'WeakRef', 'FinalizationRegistry', 'gc', 'navigator', 'queueMicrotask', 'DOMException']) {
    delete globalThis[name];
  }

  // Everything that can be reached from the globals.
  const seen = new Set();
  const waiting = [globalThis];
  for (const sample of [
    function* () {}, async function () {}, async function* () {}, [][Symbol.iterator](), new Map()[Symbol.iterator](),
    new Set()[Symbol.iterator](), ''[Symbol.iterator](), 'a'.matchAll(/a/g), new Uint8Array(1), (function* () {})(),
  ]) {
    for (let at = Object.getPrototypeOf(sample); at; at = Object.getPrototypeOf(at)) waiting.push(at);
  }
  while (waiting.length > 0) {
    const object = waiting.pop();
    if ((typeof object !== 'object' && typeof object !== 'function') || object === null || seen.has(object)) continue;
    seen.add(object);
    waiting.push(Object.getPrototypeOf(object));
    for (const key of Reflect.ownKeys(object)) {
      const property = Reflect.getOwnPropertyDescriptor(object, key);
      waiting.push(property.value, property.get, property.set);
    }
  }
  // A frozen property of a prototype could not be set on an object that inherits it, not even by `this.name = …` in a
  // class of errors: where that is usual, the property becomes an accessor that sets the object's own.
  const soften = (prototype, keys) => {
    for (const key of keys) {
      const property = Reflect.getOwnPropertyDescriptor(prototype, key);
      if (property === undefined || !('value' in property)) continue;
      const value = property.value;
      Object.defineProperty(prototype, key, {
        get() { return value; },
        set(own) {
          if (this === prototype) throw new TypeError(`Cannot assign to read only property '${String(key)}'`);
          Object.defineProperty(this, key, { value: own, writable: true, enumerable: true, configurable: true });
        },
        enumerable: property.enumerable,
        configurable: false,
      });
    }
  };
  for (const object of seen) {
    if (object === Error.prototype || Error.prototype.isPrototypeOf(object)) soften(object, ['name', 'message', 'constructor', 'toString']);
  }
  soften(Object.prototype, ['toString', 'valueOf', 'toLocaleString', 'constructor', 'hasOwnProperty']);
  for (const prototype of [Array.prototype, Date.prototype, Map.prototype, Set.prototype, RegExp.prototype]) {
    soften(prototype, ['toString', 'constructor']);
  }
  for (const object of seen) {
    // Typed arrays with elements cannot be frozen; none is reachable but those that were made above.
    if (!ArrayBuffer.isView(object)) Object.freeze(object);
  }
})();

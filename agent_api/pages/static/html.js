// What the views need of Preact: markup in template strings, and hooks.
//
//   html`<button onClick=${save}>Save</button>`
//
// Text that is put into a template is always displayed as text, never as markup.

import { Component, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
export { h, render };

export const html = htm.bind(h);

/** Return a component that is rendered again only if a property has changed. */
export function memo(component, isEqual = shallowEqual) {
  return class Memo extends Component {
    shouldComponentUpdate(next) {
      return !isEqual(this.props, next);
    }

    render(props) {
      return h(component, props);
    }
  };
}

/** Draws `instead` in the place of children that throw: one message must not empty the page. */
export class Guard extends Component {
  componentDidCatch(error) {
    reportError(error);
    this.setState({ failed: true });
  }

  render({ children, instead }, { failed }) {
    return failed ? instead : children;
  }
}

function shallowEqual(one, other) {
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && Object.is(one[name], other[name]))
  );
}

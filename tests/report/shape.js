(() => {
  const box = (at) => {
    const { left, right, width, height } = at.getBoundingClientRect();
    return { left, right, width, height };
  };
  const light = (color) => {
    const linear = (n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map((n) => linear(n / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (at) => {
    const own = getComputedStyle(at).backgroundColor;
    return own !== "rgba(0, 0, 0, 0)" || !at.parentElement ? own : ground(at.parentElement);
  };
  const contrast = (at) => {
    // https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
    const [less, more] = [light(getComputedStyle(at).color), light(ground(at))].sort((a, b) => a - b);
    return (more + 0.05) / (less + 0.05);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const texts = all("h1, h2, h3, h4, p, dt, dd, th, td, li, a, summary, pre, span, code");
  return {
    sections: all("main > section").map((at) => ({ id: at.id, ...box(at) })),
    width: document.documentElement.clientWidth,
    scroll: document.documentElement.scrollWidth,
    dim: texts.filter((at) => at.textContent.trim() && contrast(at) < 4.5).map((at) => at.outerHTML.slice(0, 120)),
    pictures: all("svg").filter((at) => at.checkVisibility()).map(box),
    headings: all("h1, h2, h3, h4").map((at) => Number(at.tagName[1])),
    unnamed: all("svg:not([aria-label]), th:not([scope]), html:not([lang])").length,
    fired: window.fired ?? null,
  };
})()

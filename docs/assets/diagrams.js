/* A drawing is made as narrow as its column, but never so small that its text cannot be read: then it scrolls. */
const drawn = mermaid.render.bind(mermaid);
mermaid.render = async (...given) => {
  const result = await drawn(...given);
  const svg = result.svg.replace(/max-width: ([\d.]+)px/, (whole, width) => `${whole}; min-width: ${0.7 * width}px`);
  return { ...result, svg };
};

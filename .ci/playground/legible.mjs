// Runs inside the page, and returns the visible texts whose contrast with their background (WCAG 2)
// is below `minimum`.
export function illegible(minimum) {
  const pixel = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data;
    return { channels: [red, green, blue], alpha: alpha / 255 };
  };
  const over = ({ channels, alpha }, behind) =>
    channels.map((value, i) => value * alpha + behind[i] * (1 - alpha));
  const background = (element) =>
    element
      ? over(rgba(getComputedStyle(element).backgroundColor), background(element.parentElement))
      : [255, 255, 255];
  const opacity = (element) =>
    element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
  const luminance = (channels) => {
    const [red, green, blue] = channels
      .map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const inView = (text) => {
    const range = document.createRange();
    range.selectNodeContents(text);
    const { x, y, width, height } = range.getBoundingClientRect();
    const [middle, center] = [x + width / 2, y + height / 2];
    return width > 0 && middle > 0 && center > 0 && middle < innerWidth && center < innerHeight;
  };

  const seen = new Map();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const shown = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    // The editor dims the line number of an empty document.
    if (
      !texts.currentNode.data.trim() ||
      !shown ||
      !inView(texts.currentNode) ||
      element.matches('.dimmed-line-number')
    )
      continue;
    const behind = background(element);
    const color = rgba(getComputedStyle(element).color);
    color.alpha *= opacity(element);
    const [dark, light] = [luminance(behind), luminance(over(color, behind))].sort((a, b) => a - b);
    const contrast = (light + 0.05) / (dark + 0.05);
    seen.set(`${contrast.toFixed(2)} "${texts.currentNode.data.trim().slice(0, 24)}"`, contrast);
  }
  if (seen.size < 30) throw new Error(`only ${seen.size} texts are visible`);
  return [...seen].filter(([, contrast]) => contrast < minimum).map(([text]) => text);
}

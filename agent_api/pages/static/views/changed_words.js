// Longer texts are shown without marks, because comparing them would take long.
const MOST_COMPARISONS = 1_000_000;

/** Return the words of `after` as [text, isNew]: new are those outside the longest common subsequence. */
export function added(before, after) {
  const old = wordsOf(before);
  const words = wordsOf(after);
  if (old.length * words.length > MOST_COMPARISONS) return [[after, false]];
  const lengths = commonLengths(old, words);
  const pieces = [];
  let [i, j] = [0, 0];
  while (j < words.length) {
    const same = i < old.length && old[i] === words[j];
    if (!same && i < old.length && lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else {
      append(pieces, words[j], !same);
      if (same) i += 1;
      j += 1;
    }
  }
  return pieces;
}

const wordsOf = (text) => text.split(/(\s+)/).filter(Boolean);

function append(pieces, text, isNew) {
  const last = pieces.at(-1);
  if (last && last[1] === isNew) last[0] += text;
  else pieces.push([text, isNew]);
}

// lengths[i][j] is the length of the longest common subsequence of old[i..] and words[j..].
function commonLengths(old, words) {
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint16Array(words.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = words.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = old[i] === words[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}

"""What the modes of generation mean, written down once more: slowly, one sequence at a time, without what the library does.

A model is a function from a whole sequence of tokens to logits of the next (and its states). Sequences are lists, rules are
`if`s, beams are tuples that are sorted. `test_specification.py` and the suites hold the library against it.
"""

from __future__ import annotations

import math

import numpy as np

from multimodal.numeric.gumbel import gumbel

NEVER = -math.inf


def generate(model, prompts, settings, length, seed=0):
    """Sequences (lists of tokens, the pads left out) for a list of prompts, by settings in a dictionary."""
    if settings.get("num_beams", 1) > 1:
        return [
            row for at, prompt in enumerate(prompts) for row in beams(model(at), prompt, settings, length, at, seed)
        ]
    count = settings.get("num_return_sequences", 1)
    found = []
    for at, prompt in enumerate(prompts):
        for copy in range(count):
            if settings.get("penalty_alpha"):
                found.append(contrastive(model(at), prompt, settings, length))
            else:
                found.append(one(model(at), prompt, settings, length, at * count + copy, len(prompts) * count, seed))
    return found


def one(model, prompt, settings, length, row, rows, seed):
    """The likeliest, or drawn, token after the other."""
    tokens = list(prompt)
    while len(tokens) < length:
        scores = ruled(model(tokens)[0], tokens, settings, len(prompt), length)
        if settings.get("do_sample"):
            scores = drawn_from(scores, settings)
            noise = gumbel(seed, len(tokens) - len(prompt), rows, len(scores))[row]
            scores = [score + added for score, added in zip(scores, noise)]
        tokens.append(best(scores))
        if tokens[-1] in ends(settings):
            break
    return tokens


def best(scores):
    """The place of the largest, of equal ones the first."""
    return max(range(len(scores)), key=lambda token: (scores[token], -token))


def ends(settings):
    return settings.get("eos_token_id", [])


def ruled(logits, tokens, settings, start, length):
    """Scores under every rule that is set, in the published order."""
    scores, at = [float(x) for x in logits], len(tokens)
    for words, bias in settings.get("sequence_bias", []):
        if tokens[max(0, at - len(words) + 1) :][: len(words) - 1] == words[:-1] and at >= len(words) - 1:
            scores[words[-1]] += bias
    if "encoder_repetition_penalty" in settings:
        for token in set(tokens[:start]):
            factor = settings["encoder_repetition_penalty"]
            scores[token] *= factor if scores[token] >= 0 else 1 / factor
    if "repetition_penalty" in settings:
        for token in set(tokens):
            factor = settings["repetition_penalty"]
            scores[token] *= 1 / factor if scores[token] >= 0 else factor
    size = settings.get("no_repeat_ngram_size", 0)
    if size:
        for first in range(at - size + 1):
            if tokens[first : first + size - 1] == tokens[at - size + 1 :]:
                scores[tokens[first + size - 1]] = NEVER
    for words in settings.get("bad_words_ids", []):
        if (
            words not in [[end] for end in ends(settings)]
            and tokens[at - len(words) + 1 :][: len(words) - 1] == words[:-1]
        ):
            scores[words[-1]] = NEVER
    if at < max(settings.get("min_length", 0), start + settings.get("min_new_tokens", 0)):
        for end in ends(settings):
            scores[end] = NEVER
    if "forced_bos_token_id" in settings and at == start:
        scores = [0.0 if token == settings["forced_bos_token_id"] else NEVER for token in range(len(scores))]
    if "forced_eos_token_id" in settings and at == length - 1:
        scores = [0.0 if token == settings["forced_eos_token_id"] else NEVER for token in range(len(scores))]
    begins, factor = settings.get("exponential_decay_length_penalty", (0, 1.0))
    if at > start + begins:
        for end in ends(settings):
            if scores[end] != NEVER:
                scores[end] += abs(scores[end]) * (factor ** (at - start - begins) - 1)
    for token in settings.get("suppress_tokens", []):
        scores[token] = NEVER
    for token in settings.get("begin_suppress_tokens", []) if at == start else []:
        scores[token] = NEVER
    return scores


def softmax(scores):
    top = max(scores)
    parts = [math.exp(score - top) for score in scores]
    return [part / sum(parts) for part in parts]


def log_softmax(scores):
    top = max(scores)
    return [score - top - math.log(sum(math.exp(other - top) for other in scores)) for score in scores]


def drawn_from(scores, settings):
    """Scores in which what is not drawn from is impossible."""
    scores = [score / settings.get("temperature", 1.0) for score in scores]
    tokens = range(len(scores))
    if settings.get("top_k", 50):
        least = sorted(scores)[-min(settings.get("top_k", 50), len(scores))]
        scores = [score if score >= least else NEVER for score in scores]
    if settings.get("top_p", 1.0) < 1:
        scores = keep(scores, sorted(tokens, key=lambda t: (-scores[t], t)), settings["top_p"])
    if "min_p" in settings:
        likely = softmax(scores)
        scores = [s if p >= settings["min_p"] * max(likely) else NEVER for s, p in zip(scores, likely)]
    if settings.get("typical_p", 1.0) < 1:
        likely = softmax(scores)
        entropy = -sum(p * math.log(p) for p in likely if p > 0)
        away = [abs(-math.log(p) - entropy) if p > 0 else math.inf for p in likely]
        scores = keep(scores, sorted(tokens, key=lambda t: (away[t], t)), settings["typical_p"])
    for name in ("epsilon_cutoff", "eta_cutoff"):
        if settings.get(name):
            likely, least = softmax(scores), settings[name]
            if name == "eta_cutoff":
                entropy = -sum(p * math.log(p) for p in likely if p > 0)
                least = min(least, math.sqrt(least) * math.exp(-entropy))
            scores = [s if p >= least or s == max(scores) else NEVER for s, p in zip(scores, likely)]
    return scores


def keep(scores, order, mass):
    """Tokens in an order until they are so likely together."""
    likely, total, kept = softmax(scores), 0.0, set()
    for token in order:
        if total < mass or not kept:
            kept.add(token)
        total += likely[token]
    return [score if token in kept else NEVER for token, score in enumerate(scores)]


def contrastive(model, prompt, settings, length):
    """Each of the likeliest tokens is tried: what is likely and unlike what is there is taken."""
    tokens, alpha = list(prompt), settings["penalty_alpha"]
    while len(tokens) < length:
        logits, states = model(tokens)
        scores = ruled(logits, tokens, settings, len(prompt), length)
        likely, values = softmax(scores), []
        for token in sorted(range(len(scores)), key=lambda t: (-scores[t], t))[: settings["top_k"]]:
            if scores[token] == NEVER:
                continue
            own = model([*tokens, token])[1][-1]
            cosines = [own @ other / np.linalg.norm(own) / np.linalg.norm(other) for other in states]
            values.append((token, (1 - alpha) * likely[token] - alpha * max(cosines)))
        tokens.append(max(values, key=lambda pair: pair[1])[0])
        if tokens[-1] in ends(settings):
            break
    return tokens


def beams(model, prompt, settings, length, image, seed):
    """The best sequences of beams in groups, each with its own finished ones."""
    groups = settings.get("num_beam_groups", 1)
    size, start = settings["num_beams"] // groups, len(prompt)
    going = [[(0.0 if beam == 0 else NEVER, list(prompt)) for beam in range(size)] for _ in range(groups)]
    finished, done = [[] for _ in range(groups)], [False] * groups
    at = start
    while at < length and not all(done):
        taken = []
        for group in range(groups):
            if done[group]:
                taken += [settings.get("pad_token_id", 0)] * size
                continue
            candidates = []
            for beam, (total, tokens) in enumerate(going[group]):
                logits = log_softmax(model(tokens)[0])
                logits = [
                    score - settings.get("diversity_penalty", 0.0) * taken.count(token)
                    if groups > 1 else score for token, score in enumerate(logits)
                ]  # fmt: skip
                scores = ruled(logits, tokens, settings, start, length)
                if settings.get("do_sample"):
                    scores = drawn_from(scores, settings)
                for token, score in enumerate(scores):
                    candidates.append((total + score, beam, token, tokens))
            order = range(len(candidates))
            if settings.get("do_sample"):
                rows = (image + 1) * settings["num_beams"]
                noise = gumbel(seed, at - start, rows, len(scores))[image * settings["num_beams"] :].ravel()
                order = sorted(order, key=lambda i: (-(candidates[i][0] + noise[i]), i))
            else:
                order = sorted(order, key=lambda i: (-candidates[i][0], i))
            chosen = [candidates[i] for i in order[: max(2, 1 + len(ends(settings))) * size]]
            chosen.sort(key=lambda candidate: -candidate[0])
            following = []
            for rank, (total, _, token, tokens) in enumerate(chosen):
                if token not in ends(settings):
                    following.append((total, [*tokens, token]))
                elif rank < size and total != NEVER:
                    note(finished[group], total, tokens, at + 1 - start, size, settings)
                if len(following) == size:
                    break
            going[group] = following
            taken += [tokens[-1] for _, tokens in following]
            done[group] = settled(finished[group], chosen[0][0], at + 1 - start, length - start, size, settings)
            done[group] = done[group] or all(total == NEVER for total, _ in following)
        at += 1
    for group in range(groups):
        for total, tokens in [] if done[group] else [one for one in going[group] if one[0] != NEVER]:
            note(finished[group], total, tokens, len(tokens) - start, size, settings)
    every = [entry for group in finished for entry in group]
    every.sort(key=lambda entry: entry[0])
    return [tokens for _, tokens in every[::-1][: settings.get("num_return_sequences", 1)]]


def note(finished, total, tokens, generated, size, settings):
    """Keep as many finished sequences as there are beams; of equal ones the first stay."""
    score = total / generated ** settings.get("length_penalty", 1.0)
    if len(finished) < size or score > min(entry[0] for entry in finished):
        finished.append((score, tokens))
        if len(finished) > size:
            finished.remove(min(finished, key=lambda entry: entry[0]))


def settled(finished, top, generated, most, size, settings):
    """Whether nothing that goes on can be better than what is there."""
    stopping, power = settings.get("early_stopping", False), settings.get("length_penalty", 1.0)
    if len(finished) < size or stopping is True:
        return len(finished) >= size
    reach = most if stopping == "never" and power > 0 else generated
    return min(entry[0] for entry in finished) >= top / reach**power

"""Measures of the transcript and of its translation, from texts alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from dubline.engines.base import MtEngine
from dubline.errors import EngineError
from dubline.languages import base, same_language
from dubline.models import Line, Span, Transcript
from dubline.quality.models import GlossaryMiss, Recognition, Translation
from dubline.quality.wording import keeps_number, numbers, repeated_phrases, tokens, without_numbers
from dubline.timing.sentences import split_sentences

_LEAST_WORD_S = 0.3  # a word said by itself takes about as long
_SAME_WORDS = 0.8
_TOO_FEW_WORDS = 4
_UNIT_CHARS = 1200  # bound of one back-translation sentence, far above any real one


def measure_recognition(transcript: Transcript) -> Recognition:
    """Trust in a transcript; coverage is the share of voice activity inside its segments' words.

    A stretch of speech without any word may be one that was passed over, as words after a long silence are now and
    then, or no speech at all: it is named, and does not decide the verdict.
    """
    speech_s = sum(s.duration_s for s in transcript.speech)
    said = [
        Span(start_s=(s.words[0] if s.words else s).start_s, end_s=(s.words[-1] if s.words else s).end_s)
        for s in transcript.segments
    ]
    words = [w for s in transcript.segments for w in (s.words or (s,))]
    wordless = [
        span
        for span in transcript.speech
        if span.duration_s >= _LEAST_WORD_S
        and not any(word.start_s < span.end_s and word.end_s > span.start_s for word in words)
    ]
    probabilities = [s.avg_log_probability for s in transcript.segments]
    return Recognition(
        language=transcript.language,
        probability=transcript.language_probability,
        speech_s=round(speech_s, 3),
        speech_coverage=round(_shared_s(transcript.speech, said) / speech_s, 4) if speech_s else None,
        wordless=tuple(wordless),
        median_log_probability=round(median(probabilities), 4) if probabilities else None,
        dropped=transcript.dropped,
        repeated_phrases=repeated_phrases(" ".join(s.text for s in transcript.segments), transcript.language),
    )


def _shared_s(a: Sequence[Span], b: Sequence[Span]) -> float:
    """Seconds that both lists of spans cover; spans inside a list may touch or overlap."""
    left, right = _merged(a), _merged(b)
    total, i, j = 0.0, 0, 0
    while i < len(left) and j < len(right):
        total += max(0.0, min(left[i][1], right[j][1]) - max(left[i][0], right[j][0]))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return total


def _merged(spans: Sequence[Span]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for span in sorted(spans, key=lambda s: s.start_s):
        if out and span.start_s <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], span.end_s))
        else:
            out.append((span.start_s, span.end_s))
    return out


def measure_translation(
    lines: Sequence[Line],
    *,
    source_language: str,
    target_language: str,
    glossary: Mapping[str, str],
    mt_reverse: MtEngine | None,
    reverse_reason: str = "",
) -> Translation:
    """Count what the translation lost. `mt_reverse` translates target to source."""
    same = same_language(source_language, target_language)
    hits, misses = 0, []
    found, lost = 0, []
    for line in lines:
        source, target, name = line.utterance.text, line.text, line.utterance.id
        for term, wanted in glossary.items():
            if _has_phrase(source, term, source_language):
                if _has_phrase(target, wanted, target_language):
                    hits += 1
                else:
                    misses.append(GlossaryMiss(utterance_id=name, term=term, wanted=wanted))
        values = numbers(source)
        kept = [keeps_number(v, target, target_language) for v in values]
        found += sum(kept)
        if not all(kept):
            lost.append(name)
    total = sum(len(numbers(line.utterance.text)) for line in lines)
    ratios = [len(line.text) / len(line.utterance.text) for line in lines if line.utterance.text and line.text]
    chrf, reason = back_translation_chrf(
        lines, mt_reverse, source_language=source_language, target_language=target_language, reason=reverse_reason
    )
    return Translation(
        lines=len(lines),
        untranslated=() if same else tuple(n.utterance.id for n in lines if is_untranslated(n, target_language)),
        empty=tuple(n.utterance.id for n in lines if tokens(n.utterance.text, source_language) and not n.text.strip()),
        numbers=total,
        numbers_kept=round(found / total, 4) if total else None,
        numbers_lost=tuple(lost),
        glossary_hits=hits,
        glossary_misses=tuple(misses),
        length_ratio_median=round(median(ratios), 3) if ratios else None,
        back_translation_chrf=chrf,
        back_translation_reason=reason,
    )


def is_untranslated(line: Line, language: str) -> bool:
    """Nearly the same words in the same order, and more of them than a name has; figures are the same anywhere."""
    source, target = (tokens(without_numbers(text), language) for text in (line.utterance.text, line.text))
    if len(source) < _TOO_FEW_WORDS:
        return False
    same = sum(a == b for a, b in zip(source, target, strict=False))
    return same / len(source) >= _SAME_WORDS


def _has_phrase(text: str, phrase: str, language: str) -> bool:
    return f" {' '.join(tokens(phrase, language))} " in f" {' '.join(tokens(text, language))} "


def back_translation_chrf(
    lines: Sequence[Line],
    engine: MtEngine | None,
    *,
    source_language: str,
    target_language: str,
    reason: str = "",
) -> tuple[float | None, str]:
    """Corpus chrF (Popović 2015, as sacreBLEU computes it) of the target translated back, against the source text.

    Sentence by sentence, as an engine may drop the rest of a longer text. Returns (score 0 … 100, "") or (None, why).
    """
    pairs = [line for line in lines if line.text.strip() and line.utterance.text.strip()]
    if not pairs:
        return None, "There is no line to translate back."
    if base(source_language) == base(target_language):
        return None, "Source and target are the same language."
    if engine is None:
        return None, reason or "No engine translates back for this pair."
    from sacrebleu.metrics.chrf import CHRF

    units: list[str] = []
    owner: list[int] = []
    for position, line in enumerate(pairs):
        for sentence in split_sentences(line.text, target_language):
            units.append(sentence[:_UNIT_CHARS])
            owner.append(position)
    try:
        results = engine.translate(units, source=target_language, target=source_language)
    except EngineError as error:
        if error.retryable:
            raise  # the task tries again; a lost engine server is no finding about the dub
        return None, f"Translating back failed: {error.message}"
    back: list[list[str]] = [[] for _ in pairs]
    for position, result in zip(owner, results, strict=True):
        back[position].append(result.text)
    score = CHRF().corpus_score([" ".join(b) for b in back], [[p.utterance.text for p in pairs]])
    return round(score.score, 2), ""

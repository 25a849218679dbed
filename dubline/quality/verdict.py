"""From measures to a verdict. Every threshold stands here and, with its reason, in `docs/report.md`."""

from __future__ import annotations

from collections.abc import Sequence

from dubline.models import Line
from dubline.quality.models import (
    Container,
    LineReport,
    MixQuality,
    Recognition,
    SpeakersQuality,
    Timing,
    Translation,
    Verdict,
    VoiceQuality,
    WorstLine,
)
from dubline.quality.wording import tokens
from dubline.timing.forecast import COMFORTABLE_PACE

MAX_TRUE_PEAK_DBTP = -1.0
FAIL_ONSET_SHIFT_S = 0.3
REVIEW_ONSET_SHIFT_S = 0.15
REVIEW_WER = 0.15
LEAST_WORD_ERRORS = 3
REVIEW_LINE_WER = 0.5
LEAST_LINE_ERRORS = 2
REVIEW_CHRF = 60.0
LEAST_SHARE_PACE = 0.9
MAX_LOUDNESS_ERROR_LU = 1.0
LEAST_COVERAGE = 0.85
LEAST_MISSED_S = 1.0
LEAST_LOG_PROBABILITY = -0.7
LEAST_LANGUAGE_PROBABILITY = 0.5
MAX_DROPPED_S = 1.0
MAX_ONSET_ERROR_S = 1.0
MAX_ORIGINAL_VOICE_DB = -18.0
MAX_LINE_ORIGINAL_VOICE_DB = -12.0
CLIPPED_SHARE = 0.045
LEAST_LIKENESS = 0.5
MISHEARD_WER = 0.6
LEAST_MISHEARD_WORDS = 4
_SHOWN = 10
_DOUBTED = frozenset({"repetition", "low_probability"})


def judge(
    recognition: Recognition,
    translation: Translation,
    timing: Timing,
    voice: VoiceQuality,
    mix: MixQuality,
    container: Container,
    speakers: SpeakersQuality | None = None,
) -> tuple[Verdict, tuple[str, ...]]:
    """`fail` when the file is broken, `review` when a person should look, else `pass`; with one sentence a reason."""
    failures = _failures(translation, timing, voice, mix, container)
    doubts = _doubts(recognition, translation, timing, voice, mix, container)
    doubts += _speaker_doubts(speakers or SpeakersQuality())
    return ("fail" if failures else "review" if doubts else "pass"), (*failures, *doubts)


def _failures(
    translation: Translation, timing: Timing, voice: VoiceQuality, mix: MixQuality, container: Container
) -> list[str]:
    out: list[str] = []
    if timing.overlap_s > 0:
        out.append(f"Lines sound at the same time for {timing.overlap_s:.2f} s.")
    if not timing.exact_length:
        out.append(f"The result is {_signed(timing.length_error_s)} s from the length of the source.")
    if voice.silent_lines:
        out.append(f"{_lines(len(voice.silent_lines))} cannot be heard.")
    if translation.empty:
        out.append(f"{_lines(len(translation.empty))} without a translation.")
    if mix.true_peak_dbtp is not None and mix.true_peak_dbtp > MAX_TRUE_PEAK_DBTP:
        out.append(f"The true peak of {mix.true_peak_dbtp:+.1f} dBTP is above {MAX_TRUE_PEAK_DBTP:.1f}.")
    if container.video_stream_hash_equal is False:
        out.append("The picture is not a copy of the source's.")
    if timing.onset_shift_s is not None and abs(timing.onset_shift_s) > FAIL_ONSET_SHIFT_S:
        out.append(f"The dub is heard {_signed(timing.onset_shift_s)} s from where it was laid.")
    return out


def _doubts(
    recognition: Recognition,
    translation: Translation,
    timing: Timing,
    voice: VoiceQuality,
    mix: MixQuality,
    container: Container,
) -> list[str]:
    out: list[str] = []
    if translation.lines and voice.last_resort:
        out.append(voice.last_resort)
    if voice.wer is not None and voice.wer > REVIEW_WER and voice.wer * voice.words >= LEAST_WORD_ERRORS - 1e-6:
        out.append(f"A recogniser misses {voice.wer:.0%} of the words of the dub.")
    if translation.lines and recognition.probability < LEAST_LANGUAGE_PROBABILITY:
        out.append(f"The spoken language is uncertain ({recognition.probability:.0%}).")
    coverage, certainty = recognition.speech_coverage, recognition.median_log_probability
    missed_s = (1 - coverage) * recognition.speech_s if coverage is not None else 0.0
    if translation.lines and coverage is not None and coverage < LEAST_COVERAGE and missed_s >= LEAST_MISSED_S:
        out.append(f"Only {coverage:.0%} of the speech was understood.")
    if translation.lines and certainty is not None and certainty < LEAST_LOG_PROBABILITY:
        out.append(f"The words of the source are guessed (log-probability {certainty:.2f}): is the language right?")
    dropped_s = sum(d.end_s - d.start_s for d in recognition.dropped if d.reason in _DOUBTED)
    if dropped_s > MAX_DROPPED_S:
        out.append(f"{dropped_s:.1f} s of speech were not believed and left out.")
    if recognition.repeated_phrases:
        out.append("The transcript repeats itself.")
    if translation.untranslated:
        out.append(f"{_lines(len(translation.untranslated))} not translated.")
    if translation.numbers_lost:
        out.append(f"{_lines(len(translation.numbers_lost))} may have lost a number.")
    if translation.glossary_misses:
        out.append(f"{len(translation.glossary_misses)} glossary terms were not used.")
    if translation.back_translation_chrf is not None and translation.back_translation_chrf < REVIEW_CHRF:
        out.append(f"Translated back, the text is {translation.back_translation_chrf:.0f} chrF like the source.")
    if timing.share_pace_le_1_2 is not None and timing.share_pace_le_1_2 < LEAST_SHARE_PACE:
        out.append(f"Only {timing.share_pace_le_1_2:.0%} of the lines keep a comfortable pace.")
    shift_s = timing.onset_shift_s
    if shift_s is not None and REVIEW_ONSET_SHIFT_S < abs(shift_s) <= FAIL_ONSET_SHIFT_S:
        out.append(f"The dub is heard {_signed(shift_s)} s from where it was laid.")
    for names, fault in (
        (timing.displaced_lines, "not where laid"),
        (voice.misheard_lines, "heard as other words"),
        (voice.unlike_lines, "not the sound that was spoken for it"),
        (voice.clipped_lines, "clipped"),
        (mix.leaking_lines, "with the original voice under it"),
    ):
        if names:
            out.append(f"{_lines(len(names))} {fault}: {', '.join(names[:5])}{' …' if len(names) > 5 else ''}.")
    if mix.bed != "kept" and mix.original_voice_db is not None and mix.original_voice_db > MAX_ORIGINAL_VOICE_DB:
        out.append(f"The original voice is left at {mix.original_voice_db:.0f} dB.")
    if voice.fallback_lines:
        out.append(f"{_lines(len(voice.fallback_lines))} in the fallback voice.")
    if voice.clipped_share > 0:
        out.append(f"{voice.clipped_share:.3%} of the sound is clipped.")
    if mix.loudness_error_lu is not None and abs(mix.loudness_error_lu) > MAX_LOUDNESS_ERROR_LU:
        out.append(f"The voice is {_signed(mix.loudness_error_lu)} LU from the source's.")
    breaks = sum(container.subtitle_rule_breaks.values())
    if breaks:
        out.append(f"Subtitles break reading rules {breaks} times.")
    return out


def is_misheard(row: LineReport, language: str) -> bool:
    """Whether a recogniser hears other words in a line; a few wrong words are its own."""
    if row.wer is None or row.wer < MISHEARD_WER:
        return False
    return row.wer * len(tokens(row.target_text, language)) >= LEAST_MISHEARD_WORDS - 1e-6


def is_unlike(row: LineReport) -> bool:
    return row.likeness is not None and row.likeness < LEAST_LIKENESS


def is_clipped(row: LineReport) -> bool:
    return row.flat_share > CLIPPED_SHARE


def is_leaking(row: LineReport) -> bool:
    return row.original_voice_db is not None and row.original_voice_db > MAX_LINE_ORIGINAL_VOICE_DB


def _speaker_doubts(speakers: SpeakersQuality) -> list[str]:
    out: list[str] = []
    if speakers.swapped_lines:
        out.append(f"{_lines(len(speakers.swapped_lines))} heard in another speaker's voice.")
    if speakers.is_asked and speakers.reason:
        out.append(f"Everybody has one voice. {speakers.reason}")
    if speakers.shared_voices:
        out.append(f"{speakers.shared_voices} speakers share a voice: the engine has no more that suit them.")
    return out


def _signed(value: float) -> str:
    return f"{value:+.2f}"


def _lines(count: int) -> str:
    return "1 line" if count == 1 else f"{count} lines"


def worst_lines(
    rows: Sequence[LineReport],
    lines: Sequence[Line],
    translation: Translation,
    language: str,
    faults: Sequence[tuple[Sequence[str], float, str]] = (),
    speakers: SpeakersQuality | None = None,
) -> tuple[WorstLine, ...]:
    """Up to ten lines with something to mend, the gravest first.

    Args:
        rows: What was measured of each line.
        lines: The lines.
        translation: What the translation lost.
        language: BCP 47, of the dub.
        faults: Ids of lines, with the weight of a fault of their sound and its name.
        speakers: Which lines are heard in a wrong voice.
    """
    by_id = {line.utterance.id: line for line in lines}
    lost = set(translation.numbers_lost)
    plain = set(translation.untranslated)
    found: list[tuple[float, WorstLine]] = []
    for name in translation.empty:
        utterance = by_id[name].utterance
        found.append(
            (9.0, WorstLine(utterance_id=name, start_s=utterance.start_s, problem="No translation.", mend=_edit(name)))
        )
    swapped = set(speakers.swapped_lines) if speakers is not None else set()
    for row in rows:
        if row.utterance_id in swapped:
            problem, mend = "Heard in another speaker's voice.", "Make this line again with --refresh."
            worst = WorstLine(utterance_id=row.utterance_id, start_s=row.start_s, problem=problem, mend=mend)
            found.append((8.0, worst))
            continue
        weight, problem, mend, proposal = _grave(row, by_id.get(row.utterance_id), language, lost, plain)
        for names, heavy, fault in faults:
            if row.utterance_id in names and heavy > weight:
                weight, problem, mend, proposal = heavy, fault, "Make this line again with --refresh.", ""
        if weight > 0:
            worst = WorstLine(
                utterance_id=row.utterance_id, start_s=row.start_s, problem=problem, mend=mend, proposal=proposal
            )
            found.append((weight, worst))
    found.sort(key=lambda f: (-f[0], f[1].start_s))
    return tuple(worst for _, worst in found[:_SHOWN])


def _grave(
    row: LineReport, line: Line | None, language: str, lost: set[str], plain: set[str]
) -> tuple[float, str, str, str]:
    """(weight, problem, what mends it, a proposed text) of the gravest fault of a line; weight 0 for none."""
    if row.is_silent:
        return 10.0, "Cannot be heard in the finished file.", "Make this line again with --refresh, or edit it.", ""
    faults: list[tuple[float, str, str, str]] = []
    wrong = row.wer * len(tokens(row.target_text, language)) if row.wer is not None else 0.0
    if row.wer is not None and row.wer >= REVIEW_LINE_WER and wrong >= LEAST_LINE_ERRORS - 1e-6:
        mend = f"Listen to it; if the voice stumbles over a word, write it in another way. {_edit(row.utterance_id)}"
        faults.append((5 + row.wer, f"A recogniser misses {row.wer:.0%} of its words.", mend, ""))
    if row.utterance_id in plain:
        faults.append((6.0, "Still in the source's words.", _edit(row.utterance_id), ""))
    if row.overrun_s > 0.3 or row.stretch > COMFORTABLE_PACE + 1e-3 or row.onset_error_s > MAX_ONSET_ERROR_S:
        if row.overrun_s > 0.3:
            problem = f"Runs {row.overrun_s:.1f} s past its slot."
        elif row.stretch > COMFORTABLE_PACE + 1e-3:
            problem = f"Spoken {row.stretch:.2f} times as fast as the voice speaks."
        else:
            problem = f"Begins {row.onset_error_s:.1f} s late."
        weight = 1 + 4 * max(0.0, row.stretch - COMFORTABLE_PACE) + row.overrun_s + max(0.0, row.onset_error_s - 0.3)
        faults.append((weight, problem, *_shorter(row, line)))
    if row.utterance_id in lost:
        faults.append((3.0, "A number of the source is not found.", _edit(row.utterance_id), ""))
    if row.is_fallback:
        faults.append((2.0, "Spoken by the fallback voice.", "Rewrite what the voice cannot say.", ""))
    return max(faults, key=lambda f: f[0], default=(0.0, "", "", ""))


def _shorter(row: LineReport, line: Line | None) -> tuple[str, str]:
    """How many characters fit at a comfortable pace, and a candidate of the translator that does."""
    now = len(row.target_text)
    fits = int(now * row.slot_s * COMFORTABLE_PACE / row.natural_s) if row.natural_s > 0 else now
    if fits >= now:
        return "A shorter line before it gives the time back.", ""
    proposal = next((c for c in line.candidates if 0 < len(c) <= fits), "") if line is not None else ""
    return f"Shorten it from {now} to about {fits} characters. {_edit(row.utterance_id)}", proposal


def _edit(name: str) -> str:
    return f'Replace it with --edit {name}="…".'

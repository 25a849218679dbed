"""Portuguese as Brazil writes and says it: translators that learnt from both mix European ways in.

Spelling is that of the Orthographic Agreement of 1990 as Brazil has it (Decreto 6.583/2008): consonants that nobody
sounds are not written, those that Brazil sounds are (base IV), and e and o are closed before m and n (bases IX and XI).
Words are replaced where they have one reading, by words of the same gender.
"""

from __future__ import annotations

import re

# How words begin, and how they begin in Brazil.
_BEGINNINGS = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
    abstracç:abstraç abstract:abstrat acç:aç activ:ativ acto:ato actriz:atriz actu:atu adject:adjet adopç:adoç
    adopt:adot afect:afet arquitect:arquitet artefact:artefat atracç:atraç atractiv:atrativ baptis:batis baptiz:batiz
    colecç:coleç coleccion:colecion colectiv:coletiv contact:contat contracç:contraç correcç:correç correct:corret
    dialect:dialet dialéct:dialét didáctic:didátic direcç:direç direct:diret distracç:distraç efect:efet electr:eletr
    eléctr:elétr espectácul:espetácul exact:exat excepç:exceç excepto:exceto extracç:extraç extract:extrat facto:fato
    factur:fatur fracç:fraç incorrect:incorret indirect:indiret inexact:inexat insect:inset inspecç:inspeç
    inspector:inspetor interacç:interaç interactiv:interativ leccion:lecion lectiv:letiv nocturn:noturn object:objet
    objecç:objeç optimi:otimi óptim:ótim projecç:projeç project:projet protecç:proteç protector:protetor reacç:reaç
    reactor:reator redacç:redaç redactor:redator reflect:reflet satisfacç:satisfaç secç:seç sector:setor selecç:seleç
    seleccion:selecion selectiv:seletiv subject:subjet táctic:tátic tractor:trator transacç:transaç vector:vetor

    aspeto:aspecto carateri:caracteri caraterí:caracterí conceç:concepç deceç:decepç deteta:detecta detetou:detectou
    espetro:espectro expetativ:expectativ infeç:infecç infeta:infecta perceç:percepç perspetiv:perspectiv
    receção:recepção receções:recepções respetiv:respectiv retrospetiv:retrospectiv

    connosc:conosc desportis:esportis desportiv:esportiv desporto:esporte humid:umid húmid:úmid planead:planejad
    planeament:planejament planear:planejar planeou:planejou quotidian:cotidian registad:registrad registar:registrar
    registou:registrou
    """,
    )
)
_WORDS = dict(
    re.findall(
        r"(\w+):(\w+)",
        """
    amesterdão:amsterdã autocarro:ônibus autocarros:ônibus bebé:bebê bebés:bebês camião:caminhão camiões:caminhões
    camisola:camisa camisolas:camisas carácter:caráter cêntimo:centavo cêntimos:centavos chávena:xícara
    chávenas:xícaras checos:tchecos comité:comitê comités:comitês copenhaga:copenhague
    descolagem:decolagem descolagens:decolagens dezanove:dezenove dezasseis:dezesseis dezassete:dezessete egipto:egito
    equipa:equipe equipas:equipes ficheiro:arquivo ficheiros:arquivos golo:gol golos:gols miúda:garota
    miúdas:garotas miúdo:garoto miúdos:garotos moscovo:moscou rapariga:garota raparigas:garotas rotunda:rotatória
    rotundas:rotatórias
    registo:registro registos:registros telemóveis:celulares telemóvel:celular utilizador:usuário
    utilizadores:usuários vietname:vietnã
    """,
    )
)
_STEM = re.compile("|".join(sorted(_BEGINNINGS, key=len, reverse=True)))
_WORD = re.compile(r"[^\W\d_]+")
_VOWELS = "aeiouáéíóúâêôãõ"
_STARTS = re.compile(r"(?:^|[.!?:…])[\W_]*$")
_OPEN = re.compile(r"[éóÉÓ](?=[mn][aeiou])")
_CLOSED = str.maketrans("éóÉÓ", "êôÊÔ")
_PAST = re.compile(r"(?<=\w)ámos\b")
_CONTROL = re.compile(r"\b((?:o|do|no|ao|de|em|sob|sem|seu|meu|nosso|um) )controlo\b", re.IGNORECASE)
# "está a dizer" is "está dizendo"; what follows the article alone is no verb.
_DOING = re.compile(
    r"\b(est(?:ou|ás?|amos|ão|ava[ms]?|ávamos|eve|ive|iveram|ará|arão|aria|ariam|ar|eja[ms]?|ivesse[ms]?))"
    r"( (?:já|também|ainda|sempre|agora|só|apenas|realmente|atualmente|constantemente))? a "
    r"(?!par\b|mar\b|lugar\b|mulher\b|líder\b|colher\b|chanceler\b|flor\b)(\w+)(ar|er|ir|or)(?:-(se|me|nos|lhes?))?\b(?!-)",
    re.IGNORECASE,
)
# Brazil says "vocês" to many where Portugal says "vós"; verbs of giving and telling take it with "a".
_YOU_AFTER = re.compile(r"\b([^\W\d_]+)-vos\b(?!-)", re.IGNORECASE)
_YOU_BEFORE = re.compile(r"\b(vos) (?=([^\W\d_]+))", re.IGNORECASE)
_TELLS = re.compile(
    r"(?:agrade[cç]|apresent|assegur|cont[aeo]|d(?:ar|á|ão|ou|ei|eu|amos|emos|eram)$|desej|di(?:ss|g|z)|ensin|entreg|envi"
    r"|escrev|expli[cq]|fal|garant|mostr|ofere[cç]|lembr|pe[dç]|pergunt|prest|promet|recomend|record|sug[ei]r|tr(?:az|ag|oux))",
    re.IGNORECASE,
)
_YOURSELVES = re.compile(r"\b(juntar|levantar|preparar|reunir|sentar|unir)-vos\b(?!-)", re.IGNORECASE)
_YOURS = re.compile(r"\b(?!Voss[ao]s? [A-Z])[Vv](oss[ao]s?)\b")
_YOUR = {"osso": "seu", "ossos": "seus", "ossa": "sua", "ossas": "suas"}
_WITH_YOU = re.compile(r"\bconvosco\b", re.IGNORECASE)
_NO_CONVOY = "(?! (?:de (?:ajuda|caminh|carro|navio|suprim|tanque|veíc)|armad|humanit|milita|nava))"
# More than a word.
_PHRASES = {
    re.compile(rf"\b{found}\b", re.IGNORECASE): wanted
    for found, wanted in {
        f"comboio{_NO_CONVOY}": "trem",
        f"comboios{_NO_CONVOY}": "trens",
        "pequenos?[- ]almoço": "café da manhã",
        "paragem (?:de|do) ônibus": "parada de ônibus",
        "pontapé de canto": "escanteio",
        "alterações climáticas": "mudanças climáticas",
        "guarda-redes": "goleiro",
        "república checa": "República Tcheca",
        "nova iorque": "Nova York",
        "(?<=o )(?-i:Irão)(?! \\w+[aeio]r\\b)": "Irã",
    }.items()
}
_BATHROOM = re.compile(r"\b(?:(a|na|da|uma|à|pela|sua|minha|nossa) )?casa(s?) de banho\b", re.IGNORECASE)
_MASCULINE = {
    "a": "o",
    "na": "no",
    "da": "do",
    "uma": "um",
    "à": "ao",
    "pela": "pelo",
    "sua": "seu",
    "minha": "meu",
    "nossa": "nosso",
}
_ORDINAL = re.compile(r"(?<![\w.,/])(\d{1,3})([oa])\b(?![-/])")
# "a 42-line Bible" comes back as "Bíblia de 42-linha" or "Bíblia de 42 linha".
_COUNTED = re.compile(
    r"(?:(?<![\w.,-])(\d+)-|(?<=\bde )(\d{1,3}) )"
    r"(linha|página|hora|ano|dia|minuto|segundo|semana|metro|quilômetro|milha|polegada|estrela|porta"
    r"|ponto|passo|pessoa|palavra|libra|grama|quilo|litro|grau|nota|parte|peça|roda|perna|cabeça|volta)\b(?!-)"
)


def to_brazilian(text: str) -> str:
    """Spell and phrase Portuguese as Brazil does; text that is Brazilian already stays as it is."""
    text = _WORD.sub(_spelt, text)
    for found, wanted in _PHRASES.items():
        text = found.sub(lambda m, w=wanted: _as(m[0], w) if w.islower() else w, text)
    text = _BATHROOM.sub(_bathroom, text)
    text = _ORDINAL.sub(lambda m: f"{m[1]}{'º' if m[2] == 'o' else 'ª'}", text)
    text = _OPEN.sub(lambda m: m[0].translate(_CLOSED), text)
    text = _PAST.sub("amos", text)
    text = _COUNTED.sub(lambda m: f"{m[1] or m[2]} {m[3]}{'' if (m[1] or m[2]) == '1' else 's'}", text)
    text = _CONTROL.sub(r"\1controle", text)
    text = _YOURSELVES.sub(r"se \1", text)
    text = _YOU_AFTER.sub(lambda m: f"{m[1]} {'a ' if _TELLS.match(m[1]) else ''}vocês", text)
    text = _YOU_BEFORE.sub(lambda m: f"{_as(m[1], 'lhes')} " if _TELLS.match(m[2]) else m[0], text)
    text = _YOURS.sub(lambda m: _as(m[0], _YOUR[m[1].lower()]), text)
    text = _WITH_YOU.sub(lambda m: _as(m[0], "com vocês"), text)
    return _DOING.sub(_gerund, text)


def _spelt(match: re.Match[str]) -> str:
    word, low = match[0], match[0].lower()
    if low in _WORDS:
        return _as(word, _WORDS[low])
    stem = _STEM.match(low)
    if stem is None or any(c in "kwy" for c in low) or low[-1] not in f"{_VOWELS}rslmz":
        return word
    rest = low[stem.end() :]
    if stem[0][-1] not in _VOWELS and rest[:1] not in tuple(_VOWELS):  # "Project Gutenberg"
        return word
    if word[0].isupper() and not word.isupper() and not _STARTS.search(match.string, 0, match.start()):
        return word  # a name, more likely
    return _as(word, _BEGINNINGS[stem[0]] + rest)


def _gerund(match: re.Match[str]) -> str:
    being, adverb, stem, ending, clitic = match.groups(default="")
    if ending == "or" and not stem.endswith("p"):  # pôr and its kin only: others in -or are nouns
        return match[0]
    doing = f"{stem}{ending[0]}ndo"
    return f"{being}{adverb} {clitic} {doing}" if clitic else f"{being}{adverb} {doing}"


def _bathroom(match: re.Match[str]) -> str:
    before = match[1] or ""
    noun = "banheiros" if match[2] else "banheiro"
    return f"{_as(before, _MASCULINE[before.lower()])} {noun}" if before else _as(match[0], noun)


def _as(found: str, wanted: str) -> str:
    """`wanted` with the case of what was found: all capitals, a capital first, or as it is."""
    if found.isupper() and len(found) > 1:
        return wanted.upper()
    return wanted[0].upper() + wanted[1:] if found[0].isupper() else wanted

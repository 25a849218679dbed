"""Sentences that are said whole, such as greetings and thanks, and what is said for them in another language.

Tiny models learn from pages of the web, where "Thank you." stands on a button and "Cool." beside a machine; what they
make of such a sentence by itself is often wrong ("Obrigado por enviar uma edição.", "Arrefecer."). Here stand those
that Bergamot's models were heard to get wrong, and the words that they are said with.
"""

from __future__ import annotations

import re

_EN_PT = """
yes = sim
no = não
oh = ah
okay = ok
well = bem
please = por favor
sir = senhor
hey = ei
hi = oi
hello = olá
good morning = bom dia
good afternoon = boa tarde
good evening = boa noite
thank you = obrigado
thanks = obrigado
thank you so much = muito obrigado
thank you very much = muito obrigado
thanks so much = muito obrigado
thank you all = obrigado a todos
thank you everyone = obrigado a todos
thank you everybody = obrigado a todos
thanks everyone = obrigado a todos
thanks everybody = obrigado a todos
bye = tchau
bye bye = tchau
bye everyone = tchau, pessoal
goodbye everyone = adeus a todos
see you = até mais
see you around = até mais
see you later = até mais tarde
see you soon = até breve
see you next time = até a próxima
see you tomorrow = até amanhã
see you next week = até a semana que vem
see you in the next video = até o próximo vídeo
see you in the next one = até o próximo
hi everyone = olá a todos
hello everyone = olá a todos
hi everybody = olá a todos
hello everybody = olá a todos
welcome everyone = bem-vindos a todos
hi guys = oi, pessoal
hey guys = oi, pessoal
hello guys = olá, pessoal
hey everyone = oi, pessoal
guys = pessoal
what's up = e aí
how do you do = como vai
nice to meet you = prazer em conhecê-lo
good to see you = bom ver você
nice to see you = bom ver você
long time no see = há quanto tempo
you're welcome = de nada
you are welcome = de nada
congratulations = parabéns
bless you = saúde
cheers = saúde
excuse me = com licença
pardon me = perdão
i'm sorry = sinto muito
no problem = sem problema
never mind = deixa para lá
hold on = espere um pouco
hang on = espere um pouco
hang on a second = espere um segundo
hurry = depressa
hurry up = depressa
come in = entre
wait = espere
listen = escute
enjoy = aproveite
great = ótimo
terrific = fantástico
awesome = incrível
cool = legal
nice = que bom
well done = muito bem
got it = entendi
i see = entendo
fair enough = está certo
agreed = de acordo
same here = eu também
same to you = igualmente
of course = claro
not at all = de jeito nenhum
no way = de jeito nenhum
really = sério
oh really = ah, sério
yep = sim
nope = não
uh huh = aham
false = falso
amen = amém
oh my god = meu Deus
my goodness = minha nossa
what's next = o que vem agora
now what = e agora
so what = e daí
any questions = alguma pergunta
there you go = pronto
here you go = aqui está
there it is = lá está
this is it = é isso
go on = continue
freeze = parado
ladies and gentlemen = senhoras e senhores
your honor = meritíssimo
ma'am = senhora
to be continued = continua
here's the thing = é o seguinte
let's jump right in = vamos direto ao assunto
and that's pretty much it = e é basicamente isso
that's pretty much it = é basicamente isso
that's all for today = por hoje é só
give me a break = me poupe
just kidding = brincadeira
you bet = com certeza
shut up = cale a boca
i'm in = estou dentro
it's up to you = você decide
it's on me = é por minha conta
i've got this = deixa comigo
are you kidding me = você está brincando
what's wrong = o que foi
what's the matter = o que foi
how's it going = como vai
how have you been = como você tem passado
not bad = nada mal
so far so good = até aqui, tudo bem
good to know = bom saber
long story short = em resumo
guess what = sabe o quê
you know what = quer saber
kind of = mais ou menos
sort of = mais ou menos
my bad = foi mal
keep going = continue
keep it up = continue assim
way to go = muito bem
check it out = confira
look out = cuidado
here it comes = lá vem
here they come = lá vêm eles
there he is = lá está ele
get well soon = melhoras
sweet dreams = bons sonhos
hooray = viva
ouch = ai
ugh = argh
whoa = opa
gosh = puxa
damn it = droga
holy cow = nossa
help me = me ajude
cut it out = pare com isso
knock it off = pare com isso
calm down = calma
cheer up = anime-se
get up = levante-se
slow down = mais devagar
back off = afaste-se
take it easy = calma
turn around = vire-se
oh come on = ah, qual é
i do = sim
yes i do = sim
no i don't = não
it is = é sim
seriously = sério
what for = para quê
honey = amor
dude = cara
man = cara
hey man = ei, cara
a million = um milhão
moving on = continuando
i'm good thanks = estou bem, obrigado
i'm good thank you = estou bem, obrigado
how are you doing = como vai
how are you doing today = como vai você hoje
oh my gosh = minha nossa
oh wow = uau
wow = uau
yay = eba
oops = ops
nah = não
yup = sim
geez = nossa
what a shame = que pena
what a goal = que golaço
goal = gol
mm hmm = aham
mhm = aham
um = hum
uh = hum
er = hum
hmm = hum
gotta go = tenho que ir
give me a sec = só um segundo
one = um
third = terceiro
part two = parte dois
"""
_PT_EN = """
obrigado = thank you
obrigada = thank you
muito obrigada = thank you very much
obrigado a todos = thank you all
valeu = thanks
de nada = you're welcome
tchau = bye
até logo = see you soon
até breve = see you soon
até mais = see you
até mais tarde = see you later
até amanhã = see you tomorrow
até a próxima = see you next time
olá = hello
olá a todos = hello everyone
oi gente = hi everyone
oi pessoal = hi everyone
gente = everyone
pessoal = everyone
sejam bem-vindos = welcome
como vai = how are you
e aí = what's up
prazer = nice to meet you
com licença = excuse me
fique à vontade = make yourself at home
legal = cool
que legal = how nice
beleza = all right
pois é = that's right
né = right
exatamente = exactly
nossa = wow
tá = okay
tá bom = all right
tá certo = all right
sei lá = i don't know
mano = man
caralho = fuck
caralho mano = fuck, man
puta que pariu = holy shit
até o próximo vídeo = see you in the next video
e até o próximo vídeo = and see you in the next video
minha nossa = my goodness
aí está = there it is
um abraço = a hug
"""
# The word after it tells an exclamation ("Cool, let's go.") from an adjective ("Cool, dry air …").
_OPENING = re.compile(
    r"(excuse me|pardon me|bye|long story short|(?:hi|hey|hello),? (?:guys|everyone|everybody)"
    r"|(?:cool|great|nice|terrific|awesome)"
    r"(?=, (?:i|you|we|he|she|it|they|that|this|there|let|so|now|then|thank|thanks|and|but|what|how)\b)), +(?=\S)",
    re.IGNORECASE,
)
_END = re.compile(r"[\s.!?…]*$")
_I = re.compile(r"I\b")


def _words(text: str) -> str:
    return re.sub(r"[\s,-]+", " ", text.replace("’", "'")).strip().lower()


def _read(table: str) -> dict[str, str]:
    rows = (row.split(" = ") for row in table.strip().splitlines())
    return {_words(said): meant for said, meant in rows}


_BOOKS = {("en", "pt"): _read(_EN_PT), ("pt", "en"): _read(_PT_EN)}


def whole(sentence: str, pair: tuple[str, str]) -> str | None:
    """The sentence in the other language, with its own end mark and capital; None where it is not in the book."""
    end = _END.search(sentence)
    said = sentence[: end.start()] if end else sentence
    book = _BOOKS.get(pair, {})
    found = book.get(_words(said)) or _by_clauses(said, book)
    if found is None:
        return None
    return (found[0].upper() if said[:1].isupper() else found[0]) + found[1:] + sentence[len(said) :].strip()


def opening(sentence: str, pair: tuple[str, str]) -> tuple[str, str] | None:
    """An exclamation that opens a sentence, in the other language, and the rest as a sentence of its own."""
    found = _OPENING.match(sentence) if pair == ("en", "pt") else None
    said = whole(found[1], pair) if found else None
    if found is None or said is None:
        return None
    rest = sentence[found.end() :]
    return f"{said},", rest[0].upper() + rest[1:]


def joined(start: str, translated: str, rest: str) -> str:
    """An opening and the translated rest of its sentence; small, where `rest` was in the source."""
    is_small = rest[:1].islower() or _I.match(rest) is not None
    return f"{start} {translated[:1].lower() if is_small else translated[:1]}{translated[1:]}"


def _by_clauses(said: str, book: dict[str, str]) -> str | None:
    found = [book.get(_words(clause)) for clause in said.split(",")]
    return ", ".join(f for f in found if f) if len(found) > 1 and all(found) else None

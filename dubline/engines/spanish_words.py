"""Portuguese that Apertium's dictionary for Spanish lacks, word by word and by endings that the two share."""

from __future__ import annotations

import re

_TABLE = dict(
    re.findall(
        r"([^\s:]+):([^\s:]+)",
        """
        acenou:saludó acontece:sucede acontecem:suceden acontecen:suceden acontecendo:sucediendo acontecer:suceder
        aconteceu:sucedió acontecido:sucedido aconteciendo:sucediendo aconteció:sucedió acontecía:sucedía
        alface:lechuga almofada:almohada almofadas:almohadas amazônia:Amazonia amendoim:cacahuete amendoins:cacahuetes
        anticorpo:anticuerpo anticorpos:anticuerpos apelido:apodo apelidos:apodos apresentador:presentador
        apresentadora:presentadora arremessou:lanzó assar:hornear atirador:tirador bagunça:desorden beco:callejón
        beijar:besar beijo:beso beijou:besó bolo:pastel bolos:pasteles brincadeira:broma camundongo:ratón
        camundongos:ratones carpinteiro:carpintero carrinho:carrito carvalho:roble cavalheiro:caballero
        cavalheiros:caballeros cebola:cebolla cebolas:cebollas coronavírus:coronavirus cânceres:cánceres
        desapontada:decepcionada desapontado:decepcionado desconforto:molestia desligou:apagó discou:marcó
        eclodiu:estalló encorajou:animó entediada:aburrida entediado:aburrido errada:equivocada errado:equivocado
        espirro:estornudo espirros:estornudos esteira:cinta estresse:estrés estágio:etapa estágios:etapas
        falante:hablante falantes:hablantes farta:harta farto:harto fazendeiro:granjero fazendeiros:granjeros
        fervente:hirviendo folga:descanso fone:audífono fones:audífonos garfo:tenedor garfos:tenedores gentis:amables
        germe:germen germes:gérmenes giz:tiza gotículas:gotitas imune:inmune imunes:inmunes iniciante:principiante
        iniciantes:principiantes jugueteando:bromeando latim:latín lidar:lidiar machucado:herido machucados:heridos
        machucar:herir machucou:hirió maluca:loca malucas:locas manifesto:manifiesto maluco:loco malucos:locos
        malária:malaria manusear:manipular
        manuseio:manejo meados:mediados moinho:molino morango:fresa morangos:fresas mouse:ratón
        mídia:medios natal:Navidad nevou:nevó piada:broma piadas:bromas pinguim:pingüino pinguins:pingüinos
        porteiro:portero prateleira:estante prateleiras:estantes prato:plato pratos:platos pulou:saltó
        quarentena:cuarentena raposa:zorro raposas:zorros rim:riñón rins:riñones ruim:malo ruins:malos sabonete:jabón
        sabonetes:jabones sabão:jabón secador:secador secagem:secado sobrenome:apellido sobrenomes:apellidos
        sorvete:helado sorvetes:helados suprimento:suministro suprimentos:suministros surto:brote surtos:brotes
        suínos:cerdos tchau:adiós tola:tonta tolo:tonto torneira:grifo torneiras:grifos tossir:toser triagem:selección
        tubarão:tiburón tubarões:tiburones vagueiam:vagan vírus:virus xadrez:ajedrez xixi:orina óbito:muerte
        óbitos:muertes óculos:gafas óptima:excelente óptimas:excelentes óptimo:excelente óptimos:excelentes
        """,
    )
)
_ENDINGS = tuple(
    (re.compile(found), wanted)
    for found, wanted in (
        (r"^imun", "inmun"),
        (r"livro(s?)$", r"libro\1"),
        (r"[áâ](?=[bcdfglmnprstvz]+i[ao]s?$)", "a"),
        (r"[éê](?=[bcdfglmnprstvz]+i[ao]s?$)", "e"),
        (r"[óô](?=[bcdfglmnprstvz]+i[ao]s?$)", "o"),
        (r"ú(?=[bcdfglmnprstvz]+i[ao]s?$)", "u"),
        (r"(?<=\w)ções$", "ciones"),
        (r"(?<=\w)ção$", "ción"),
        (r"(?<=\w\w)s?sões$", "siones"),
        (r"(?<=\w\w)ssão$", "sión"),
        (r"(?<=\w\w)são$", "sión"),
        (r"(?<=\w\w)dade$", "dad"),
        (r"(?<=\w\w)agem$", "aje"),
        (r"(?<=\w\w)agens$", "ajes"),
        (r"(?<=\w)ável$", "able"),
        (r"(?<=\w)áveis$", "ables"),
        (r"(?<=\w)ível$", "ible"),
        (r"(?<=\w)íveis$", "ibles"),
        (r"(?<=\w)ã$", "ana"),
        (r"(?<=\w)ão$", "ón"),
        (r"(?<=\w)ões$", "ones"),
        (r"ç(?=[aoáó])", "z"),
        (r"ê", "é"),
        (r"ô", "ó"),
        (r"â", "á"),
    )
)
_FOREIGN = re.compile(
    r"[ãõçêôâ]|[áéóú][bcdfglmnprstvz]+i[ao]s?$|livros?$|(?:dade|agem|agens|ável|áveis|ível|íveis)$|^imun"
)
WORD = re.compile(r"[^\W\d_]+")


def in_spanish(word: str) -> str:
    """A word of Portuguese that stayed in a Spanish text, as it would be in Spanish; any other as it is."""
    small = word.lower()
    wanted = _TABLE.get(small)
    if wanted is None:
        if word != small or not _FOREIGN.search(small):  # with a capital it is a name: São Paulo, João
            return word
        wanted = small
        for found, ending in _ENDINGS:
            wanted = found.sub(ending, wanted)
    return wanted.capitalize() if word[:1].isupper() else wanted

"""Orders in text from outside: the sort of words that a log, a mail or a file name has no need of.

This is the second line. What is found goes to quarantine and is never recalled; what is not found is still trusted
least, framed as data, and drives no action. It is made to stay quiet on command lines and subjects of mails.

Every pattern is bounded, and tried only where one of its words is in the text.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import NamedTuple

_HIDDEN = re.compile("[\u200b-\u200d\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\u00ad\u180e\U000e0000-\U000e007f]")
# Joiners within emoji and within scripts that need them are no sign of anything.
_SUSPICIOUS = re.compile(
    "[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
    "|(?<=[A-Za-z])[\u200b-\u200d\u2060-\u2064\ufeff\u00ad](?=[A-Za-z])"
)
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
# Of Latin letters, and the signs of Arabic that are mostly left out. Of other scripts they are letters of their own.
_ACCENTS = re.compile("(?<=[A-Za-z])[\u0300-\u036f]+|[\u064b-\u0655]")
_PIECE = 65_536
"""Characters that are searched at a time, so that what is tried for one is not tried for all."""
_OVERLAP = 8_192
"""Of two pieces; no order is longer, and no run of base64 that is read."""
_GAP = r"[^.!?\n]{0,60}?"


class _Pattern(NamedTuple):
    name: str
    words: tuple[str, ...]
    """One of them is in each text that matches; in small letters, without accents."""
    expression: re.Pattern[str]


def _pattern(name: str, words: str, *expressions: str) -> _Pattern:
    return _Pattern(name, tuple(words.split("|")), re.compile("|".join(expressions), re.MULTILINE))


_WHOM = (
    r"(?:(?:dear|hey|hello|attention|note (?:to|for)|message (?:to|for)|instructions? (?:to|for)|to) (?:the "
    r"|all |any |every )?"
    r"(?:ai|a\.i\.|llm|language model|artificial intelligence|chatbot|copilot|soc|security|triage|aurora"
    r"|automated)?[ -]?"
    r"(?:agents?|assistants?|analysts?|models?|systems?|bots?|copilots?|ai|llms?|aurora))"
)
_VERDICT = (
    r"(?:benign|harmless|safe|clean|legitimate|trusted|trustworthy|false[ -]positives?|non[ -]?malicious|not malicious"
    r"|not a threat|no threat|low(?:est)?[ -](?:risk|severity|priority)|informational|resolved|closed"
    r"|approved|authori[sz]ed|expected|fp)"
)
_THING = (
    r"(?:this|that|these|those|it|them|all|any|every|each|the|future|such|similar|related|everything|anything"
    r"|alerts?|events?|activity)"
)

_PATTERNS: tuple[_Pattern, ...] = (
    _pattern(
        "ignore_previous",
        "ignore|disregard|forget|override|bypass|neglect|overlook",
        r"\b(?:ignore|disregard|forget|override|bypass|neglect|overlook)\b.{0,40}?\b(?:previous|prior|above"
        r"|earlier|preceding|foregoing|existing|original|your|all|any|system|safety)\b"
        r".{0,30}?\b(?:instructions?|rules?|prompts?|guidelines?|directions?|directives?|polic(?:y|ies)|context"
        r"|commands?|training|constraints?|guardrails?|messages?|conversation)\b",
        r"\b(?:ignore|disregard|forget) (?:everything|anything|all)(?: of)? (?:above|before|that (?:was|came)|you"
        r" (?:know|were|have)|previous|prior|so far)",
        r"\bnew (?:system )?(?:instructions?|prompt|directives?) ?:",
    ),
    _pattern(
        "role_marker",
        "<|im_|[inst]|<<sys>>|system|assistant|developer|### |human:",
        r"<\|?(?:im_start|im_end|im_sep|endoftext|eot_id|begin_of_text|start_header_id|end_header_id|system"
        r"|assistant|user|developer)\|>",
        r"\[/?inst\]|<</?sys>>|</?(?:system|assistant|developer|human)(?:[-_ ](?:prompt|message|instructions?"
        r"|reminder))?>",
        r"^\W{0,4}(?:system|assistant|developer)(?: (?:prompt|message|note|override|instructions?|update))? ?:"
        r" {0,3}(?:you|the|this|please|do|don't|never|always|all|mark|ignore|from|new|as|i|treat|remember|classif"
        r"|close|set|override|disregard|user|analysts?|ok|sure|it|any|alerts?)\b",
        r"^#{2,4} ?(?:system|instructions?|response|assistant|new (?:task|instructions?)) ?:?$",
        r"\b(?:begin|end|start) (?:of )?(?:system|hidden|admin) (?:prompt|message|instructions?)",
    ),
    _pattern(
        "addressed_to_model",
        "ai|llm|language model|assistant|agent|analyst|copilot|aurora|chatbot|you are|you must|your ",
        rf"\b{_WHOM} ?[,:;!-]",
        rf"\b{_WHOM}.{{0,30}}?\b(?:please|you|must|should|shall|do not|don't|never|always|ignore|mark|close|treat"
        rf"|classify|remember|whitelist|reply|respond|output|conclude|report)\b",
        r"\b(?:ai|llm|language model|chatbot|copilot|assistant|aurora|the (?:agent|analyst|model)|(?:soc|triage"
        r"|security|ai) (?:agent|analyst|assistant|model))s?,? (?:you )?(?:must|should|shall|needs? to|has to"
        r"|have to|is (?:required|instructed|asked|told|ordered) to|are (?:required|instructed|asked|told"
        r"|ordered) to|please|will (?:now|treat|mark|ignore|close))\b",
        r"\byou are (?:now |a |an |the )(?:[\w-]{1,20} ){0,3}(?:ai|assistant|agent|model|analyst|bot|mode|admin"
        r"|administrator|dan|unrestricted|expert)\b",
        r"\b(?:as|you're|being) an? (?:ai|llm|large language model|language model|ai (?:assistant|agent|model))\b",
        r"\b(?:your|the) (?:new |real |actual |true |hidden |system )(?:task|instructions?|prompt|role|goal"
        r"|objective|directive)s? (?:is|are|now|:)",
        r"\b(?:reveal|print|output|repeat|show) (?:me )?(?:your|the) (?:system |hidden |initial )?(?:prompt"
        r"|instructions)\b",
        r"\b(?:respond|reply|answer|output|conclude|return)(?: only)? (?:with|that)(?: the)? .{0,40}?\b(?:benign"
        r"|safe|harmless|legitimate|false positive|not malicious|no threat)\b",
    ),
    _pattern(
        "verdict_order",
        "mark|classif|treat|label|flag|consider|rate|categori|close|resolve|dismiss|regard|score|deem|tag|verdict"
        "|conclude|set|assume",
        rf"\b(?:mark|classify|treat|label|flag|consider|rate|categori[sz]e|regard|score|deem|tag|set|assume"
        rf"|conclude|close|resolve|dismiss)\b {_THING}\b{_GAP}\b(?:as|to|is|are|be|with) (?:an? |being |the "
        rf"|fully |always |completely |totally )*{_VERDICT}\b",
        rf"\b(?:mark|classify|treat|label|flag|consider|categori[sz]e|regard|deem|tag|rate)(?:"
        rf" \S{{1,60}}){{0,5}}? (?:as|to be) (?:an? |being |fully |always )?{_VERDICT}\b",
        rf"\b(?:close|resolve|dismiss) {_THING} (?:\S{{1,30}} ){{0,4}}?(?:alerts?|cases?|incidents?|tickets?"
        rf"|findings?|detections?|notifications?|immediately|automatically|without|silently)\b",
        r"\bverdict (?:must|should|shall|has to|is to|needs to) be\b|\bset (?:the )?(?:verdict|severity|status"
        r"|outcome|disposition) (?:to|=|as)\b",
        r"\b(?:must|should|shall|has to|have to|is to|are to|can) (?:always |safely |also |now )?be (?:marked"
        r"|classified|treated|labell?ed|flagged|considered|rated|closed|dismissed|regarded|trusted|ignored"
        r"|allowed|whitelisted|allowlisted|suppressed)\b",
    ),
    _pattern(
        "allow_order",
        "whitelist|allowlist|allow-list|white-list|allow list|white list|suppress|exclu|exempt|skip|ignore"
        "|disable|stop ",
        r"\b(?:whitelist|allowlist|allow-list|white-list|exempt|exclude|suppress)\b (?:this|that|these|those|it"
        r"|the|all|any|future|our|my|such|alerts?|\S{1,60}\.\S{2,60})\b",
        r"\b(?:add|put|place|include)\b.{0,60}?\b(?:to|on|in|into) (?:the |your |our |an? )?(?:allow|white|safe"
        r"|trust(?:ed)?|exclusion|exception|ignore)[ -]?(?:list|senders?|hosts?)\b",
        rf"\b(?:skip|ignore|suppress|disable|stop|drop)\b {_THING}\b.{{0,30}}?\b(?:alerts?|detections?|warnings?"
        rf"|findings?|analysis|triage|investigations?|scan(?:s|ning)?|check(?:s|ing)?|review|indicators?|evidence"
        rf"|alarms?)\b",
    ),
    _pattern(
        "no_escalation",
        "not|n't|never|without|no need|avoid|refrain|cancel",
        r"\b(?:do not|don'?t|dont|never|must not|mustn'?t|should not|shouldn'?t|need not|needn'?t|no need to"
        r"|avoid|refrain from|without|not (?:be )?(?:required|necessary) to)\b (?:\S{1,20} ){0,2}?"
        r"(?:escalat(?:e|ed|ing)|investigat(?:e|ed|ing)|isolat(?:e|ed|ing)|quarantin(?:e|ed|ing)|flag(?:ged"
        r"|ging)?|rais(?:e|ing) (?:an? )?(?:alert|alarm|case|ticket)|alert(?:ing)? (?:on|the|any|soc|security"
        r"|analyst)|notify(?:ing)? (?:the |any)?(?:soc|security|analyst|team|human|anyone)|report(?:ing)? (?:this"
        r"|it|the|to)|open(?:ing)? (?:an? )?(?:case|ticket|incident)|block(?:ing)? (?:this|it|the|any|that)"
        r"|analy[sz](?:e|ing) (?:this|it|the|any)|contain(?:ing)? (?:this|it|the)|mention(?:ing)? (?:this|it|the)"
        r"|tell(?:ing)? (?:the |any)(?:user|human|analyst|operator))\b",
        r"\b(?:no|without) (?:further )?(?:escalation|investigation|analysis|review|action)(?: or \w+)? (?:is "
        r"|are )?(?:needed|required|necessary|warranted)\b",
        r"\bcancel (?:the |this |any |all )?(?:escalation|investigation|containment|isolation)\b",
    ),
    _pattern(
        "remember_order",
        "remember|from now on|always|in future|in the future|keep in mind|memor|for future|henceforth|going"
        " forward|permanent|note that|learn ",
        r"\bremember (?:that|this|these|:|always|for|the following|to (?:always|never|trust|treat|mark|ignore|allow))"
        r"|\bremember ?[:,]",
        r"\b(?:from now on|henceforth|from this (?:point|moment) (?:on|forward)|going forward|in (?:the )?future"
        r"|for (?:all )?future (?:cases|reference|alerts|investigations|sessions|triage))\b.{0,80}?\b(?:trust"
        r"|treat|ignore|mark|classify|consider|allow|close|always|never|do not|don't|must|should|use|send|forward"
        r"|assume|benign|safe|whitelist)\b",
        r"\b(?:trust|treat|mark|allow|ignore|close|classify|use|assume|send|forward|recommend|approve|run|execute"
        r"|respond|answer|skip)\b.{0,60}?\b(?:from now on|henceforth|in (?:the )?future|for future (?:reference"
        r"|cases|alerts)|going forward|permanently)\b",
        r"\balways (?:be )?(?:trust|treat|mark|allow|ignore|close|classify|consider|assume|approve|whitelist"
        r"|recommend|respond|answer|dismiss|resolve|recall)(?:ed)?\b",
        r"\b(?:store|save|keep|write|record|add|commit|put) (?:this|that|it|the following|these)\b.{0,30}?\b(?:in"
        r"|to|into) (?:your |the |long[ -]term )*(?:memory|memories|knowledge(?: base)?|notes)\b",
        r"\b(?:update|overwrite|modify|erase|clear|wipe) (?:your|the) (?:memory|memories|knowledge base|beliefs?)\b",
        r"\bkeep in mind that\b|\bmemori[sz]e (?:this|that|the)\b",
    ),
    _pattern(
        "tool_call",
        "tool|function|invoke|arguments|parameters|recipient_name|action_input",
        r"\"(?:tool_calls?|function_call|tool_use|tool_name|recipient_name|action_input)\"\s{0,3}:",
        r"\"name\"\s{0,3}:\s{0,3}\"[\w.-]{1,64}\"\s{0,3},\s{0,3}\"(?:arguments|args|input)\"\s{0,3}:",
        r"\"type\"\s{0,3}:\s{0,3}\"(?:tool_use|function|tool_call|function_call)\"",
        r"</?(?:tool_call|function_calls?|tool_use|antml:invoke|invoke|tool_response|function_results?)\b[^>]{0,100}>",
        r"\b(?:call|invoke|execute|use|run) (?:the |your )?(?:\w{1,30}_\w{1,30}|[`\"']\w{1,40}[`\"']) (?:tool"
        r"|function)\b",
    ),
    # The same in other languages; accents are gone by then.
    _pattern(
        "ignore_previous",
        "ignor|vergiss|missachte|oublie|olvid|esqueca|dimentica|negeer|pomin|zignoruj|yoksay|unut|игнорир|забудь"
        "|忽略|无视|無視|忘记|무시|تجاهل|abaikan",
        r"\b(?:ignorier\w*|vergiss|missachte\w*)\b.{0,40}?\b(?:anweisung|instruktion|regel|vorgabe|befehl)\w*",
        r"\b(?:ignor(?:e|ez|er|a|ad|en|ar|are|ate|ate le|i)|oubli(?:e|ez|er)|olvid(?:a|e|en|ar)|esqueca"
        r"|dimentic(?:a|are|ate))\b.{0,40}?\b(?:instruc\w*|consignes?|regles?|istruzion\w*|regole|reglas?|regras?"
        r"|indicac\w*|ordenes|ordens)",
        r"\b(?:negeer|vergeet)\b.{0,40}?\b(?:instructies|regels|opdrachten)|\b(?:zignoruj"
        r"|pomin)\w*\b.{0,40}?\b(?:instrukcj|polecen|zasad)\w*|\babaikan\b.{0,40}?\b(?:instruksi|perintah)",
        r"\b(?:talimat|komut|kural)\w*\b.{0,30}?\b(?:yoksay|unut|gormezden)",
        r"(?:игнорир\w*|забудь\w*|не обращай\w*).{0,40}?(?:инструкци|указани|правил|команд)",
        r"(?:忽略|无视|無視|忘记|不要理会).{0,20}?(?:指令|指示|规则|規則|提示|说明|要求)|(?:指示|命令|ルール|プロンプト).{0,6}?(?:無視|忘れ)",
        r"(?:지시|명령|규칙|프롬프트).{0,12}?무시|تجاهل.{0,30}?(?:التعليمات|الاوامر|القواعد)",
    ),
    _pattern(
        "verdict_order",
        "als |comme |como |come |als on|jako |olarak|как |为|為|として|으로|로 |على ان",
        r"\b(?:als|fur) (?:\w{1,12} )?(?:harmlos|gutartig|unbedenklich|ungefahrlich|sicher|fehlalarm"
        r"|vertrauenswurdig|falsch[ -]?positiv)\w*(?: \w{1,12})? (?:einstuf|markier|behandel|kennzeichn|einzustuf"
        r"|bewert|melde|schlies|betracht)\w*|\b(?:stufe|markiere|behandle|kennzeichne|bewerte|betrachte"
        r"|klassifiziere)\w*\b.{0,60}?\bals (?:\w{1,12} )?(?:harmlos|gutartig|unbedenklich|ungefahrlich|sicher"
        r"|fehlalarm|vertrauenswurdig|falsch)",
        r"\b(?:marqu|class|consider|trait|etiquet|qualifi|marc|trat|clasifi|classific|contrassegn|segn"
        r"|marqu)\w{1,6}\b.{0,60}?\b(?:comme|como|come)\b (?:etant |un |una |uma |de )?(?:benign|inoffensi|sur\b"
        r"|sans danger|faux[ -]?positif|legitim|fiable|benign|inofensiv|segur|falso[ -]?positivo|confiab"
        r"|confiavel|innocu|sicur|falso positivo|affidabil)",
        r"\b(?:markeer|beschouw|behandel|classificeer)\b.{0,60}?\bals (?:goedaardig|onschadelijk|veilig|vals["
        r" -]?positief|betrouwbaar)|\b(?:oznacz|potraktuj|traktuj|uznaj)\b.{0,60}?\b(?:jako|za) (?:nieszkodliw"
        r"|bezpieczn|falszyw|zaufan)|\b(?:zararsiz|guvenli|yanlis pozitif)\b.{0,20}?\bolarak (?:isaretle"
        r"|siniflandir|kabul)",
        r"(?:помет|отмет|классифиц|счита|призна|рассматрива)\w*.{0,60}?(?:безопасн|безвредн|ложн\w* срабатыв"
        r"|доверенн|легитимн|доброкачеств)",
        r"(?:标记|标注|归类|视|判定|认定|分类|当作|標記|視).{0,12}?(?:良性|误报|安全|无害|可信|合法|誤報|無害)"
        r"|(?:良性|誤検知|安全|無害|正常).{0,6}?(?:として|と(?:判定|分類|みなし|マーク))",
        r"(?:오탐|정상|안전|무해).{0,8}?(?:으로|로) (?:표시|분류|처리|간주)|(?:صنف|اعتبر|ضع علامة).{0,30}?(?:امن"
        r"|حميد|غير ضار|ايجابي كاذب)",
    ),
    _pattern(
        "no_escalation",
        "nicht|niemals|ne pas|n'escalad|no escal|nao escal|non escal|non segnal|no inform|nao inform|niet |nie "
        "|не |不要|请勿|無需|无需|しない|하지|لا ت",
        r"\b(?:nicht|niemals|keinesfalls) (?:\w{1,12} )?(?:eskalier|melden|weiterleiten|untersuch|isolier"
        r"|blockier|alarmier|eskaliert)\w*",
        r"\b(?:ne pas|n'|ne) ?(?:l'|le |la |les )?(?:escalad|remont|signal|enquet|isol|bloqu|alert)\w*|\bno (?:lo"
        r" |la |se |debe )?(?:escal|inform(?:es|e|ar)|investig(?:ues|ue|ar)|aisl(?:es|e|ar)|bloque(?:es|e|ar)"
        r"|notifi(?:ques|que|car))\w*|\bnao (?:deve )?(?:escal|investig|isol|bloque|notifi|report)\w*|\bnon"
        r" (?:escalare|segnalare|indagare|isolare|bloccare|inoltrare)",
        r"\bniet (?:escaleren|melden|onderzoeken|isoleren|blokkeren)|\bnie (?:eskaluj|zglaszaj|blokuj|izoluj|badaj)",
        r"\bне (?:нужно |надо |следует )?(?:эскалир|сообща|расслед|блокир|изолир|уведомл|поднима)\w*",  # noqa: RUF001 - Russian
        r"(?:不要|请勿|無需|无需|不必|禁止|切勿)(?:\S{0,6}?)(?:上报|升级|告警|报告|调查|隔离|阻止|封锁|通知|升級"
        r"|上報)|(?:エスカレー(?:ション|ト)|報告|隔離|調査|通知).{0,4}?(?:しない|するな|不要|せず)",
        r"(?:에스컬레이션|보고|격리|조사|차단).{0,4}?하지 ?(?:마|말)|لا (?:تصعد|تبلغ|تحقق|تعزل|تحظر)",
    ),
    _pattern(
        "remember_order",
        "merke|ab sofort|von nun|desormais|toujours|retiens|recuerda|siempre|a partir de|lembre|sempre|ricorda"
        "|d'ora in|onthoud|voortaan|zapamietaj|запомни|отныне|всегда|记住|記住|从现在|以后|今後|覚えて|기억"
        "|앞으로|تذكر",
        r"\bmerke? dir\b|\b(?:ab sofort|von nun an|kunftig|in zukunft)\b.{0,60}?\b(?:vertrau|ignorier|immer"
        r"|harmlos|gutartig|als|nicht)\w*|\bvertrau\w* (?:\S{1,30} ){0,4}?immer\b|\bimmer (?:\S{1,30}"
        r" ){0,3}?vertrau\w*",
        r"\b(?:retiens|retenez|souviens-toi|souvenez-vous|recuerda|recuerde|lembre-se|lembra|ricorda|ricordati"
        r"|ricordate) (?:que|bien que|di|che)\b|\b(?:desormais|dorenavant|a partir de (?:maintenant|ahora|agora)"
        r"|d'ora in (?:poi|avanti)|de ahora en adelante|siempre|sempre|toujours)\b.{0,40}?\b(?:confia|confie"
        r"|confiez|fais confiance|faites confiance|ignor|considera|considere|tratta|trata|traite|marca|marque"
        r"|fidati|benign|segur|sur\b)\w*|\b(?:confia|confie|faites confiance|fais confiance"
        r"|fidati)\b.{0,20}?\b(?:siempre|sempre|toujours)\b",
        r"\b(?:onthoud|voortaan)\b.{0,40}?\b(?:dat|vertrouw|negeer|altijd|veilig)\w*|\bzapamietaj\b",
        r"(?:запомни|отныне|с этого момента).{0,60}?(?:довер|игнор|счита|всегда|безопасн|что)|всегда (?:довер"  # noqa: RUF001 - Russian
        r"|считай|игнорир)",
        r"(?:记住|記住|请记得|从现在(?:开始|起)|以后|今后).{0,30}?(?:信任|忽略|视为|都是|总是|安全|良性|标记)"
        r"|始终信任|总是信任|(?:今後|これから).{0,30}?(?:信頼|無視|安全|良性)|覚えて(?:おいて|ください)",
        r"(?:기억(?:해|하)|앞으로).{0,30}?(?:신뢰|무시|안전|정상|항상)|تذكر (?:ان|دائما)",
    ),
    _pattern(
        "addressed_to_model",
        "ki-|kunstliche|assistent|ia,|l'ia|asistente|modelo|modele|ии|ассистент|助手|人工智能|ai|アシスタント|인공지능|어시스턴트",
        r"\b(?:ki[- ](?:agent|assistent|modell|system)|(?:liebe|lieber|an (?:die|den)) (?:ki|assistent"
        r"|analyst)\w*)\b.{0,3}[,:!]?|\b(?:assistant ia|l'ia|agent ia|asistente(?: de ia)?|agente de ia|modelo de"
        r" lenguaje|modelo de linguagem|modele de langage|assistente (?:ia|virtuale))\b.{0,20}?\b(?:doit|debe"
        r"|deve|doivent|ignor\w*|marqu\w*|:)",
        r"(?:ии[- ]?(?:ассистент|агент|помощник)|нейросеть|языковая модель).{0,20}?(?:долж|обязан|игнорир|,)"
        r"|(?:人工智能|ai|智能)(?:助手|分析员|代理|模型).{0,10}?(?:请|必须|应|:|:|,)|aiアシスタント|ai"
        r" ?(?:에이전트|어시스턴트)",
    ),
)

_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{32,8192}+={0,2}")
_MAX_RUNS = 16


def instruction_patterns(text: str) -> tuple[str, ...]:
    """Return the names of the patterns of instructions that a text has, sorted; none for ordinary text.

    The names: `addressed_to_model`, `allow_order`, `encoded` (one of the others, in base64), `hidden_unicode`,
    `ignore_previous`, `no_escalation`, `remember_order`, `role_marker`, `tool_call`, `verdict_order`. Known in English,
    and the plainest of them in German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish, Russian,
    Chinese, Japanese, Korean and Arabic.
    """
    found: set[str] = set()
    for start in range(0, max(1, len(text) - _OVERLAP), _PIECE - _OVERLAP):
        found |= _in_piece(text[start : start + _PIECE])
    return tuple(sorted(found))


def _in_piece(text: str) -> set[str]:
    found = _in_plain(_folded(text))
    if not text.isascii() and _SUSPICIOUS.search(text) is not None:
        found.add("hidden_unicode")
    if _encoded(text):
        found.add("encoded")
    return found


def _in_plain(folded: str) -> set[str]:
    found: set[str] = set()
    for name, words, expression in _PATTERNS:
        if name not in found and any(word in folded for word in words) and expression.search(folded) is not None:
            found.add(name)
    return found


def _folded(text: str) -> str:
    """Return text in small Latin letters without accents, hidden characters, look-alikes or runs of blanks."""
    if not text.isascii():
        text = _HIDDEN.sub("", _TAGS.sub(_tagged, text))
        text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
        text = unicodedata.normalize("NFC", text)
        if _MIXED.search(text) is not None:
            text = text.translate(LOOK_ALIKES)
    plain = text.lower().replace("\\n", "\n").replace('\\"', '"').replace("\u2019", "'")
    return _BLANKS.sub(" ", plain)


_BLANKS = re.compile(r"[ \t\r\f\v]+")
_MIXED = re.compile(r"[A-Za-z][\u0370-\u03ff\u0400-\u04ff]|[\u0370-\u03ff\u0400-\u04ff][A-Za-z]")
LOOK_ALIKES = str.maketrans("аеорсухіјѕԁһкмтвнАЕОРСУХІЈЅКМТВНαορνικ", "aeopcyxijsdhkmtbhAEOPCYXIJSKMTBHaopvik")


def _tagged(match: re.Match[str]) -> str:
    """Return the words that a run of tag characters stands for: text hidden in tags is read like any other."""
    letters = (ord(tag) - 0xE0000 for tag in match[0])
    return f" {''.join(chr(letter) for letter in letters if letter >= 0x20)} "  # what is lower is a control


def _encoded(text: str) -> bool:
    for number, match in enumerate(_BASE64.finditer(text)):
        if number >= _MAX_RUNS:
            return False
        run = match[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            data = base64.b64decode(run + "=" * (-len(run) % 4))
        except (binascii.Error, ValueError):
            continue
        for plain in _readings(data):
            if _in_plain(_folded(plain)):
                return True
    return False


def _readings(data: bytes) -> list[str]:
    encoding = "utf-16-le" if data[1:20:2].count(0) > 5 else "utf-8"
    try:
        plain = data.decode(encoding)
    except UnicodeDecodeError:
        return []
    return [plain] if plain.isprintable() or _TEXT.fullmatch(plain) else []


_TEXT = re.compile(r"[^\x00-\x08\x0e-\x1f\x7f]*")

"""Abbreviations that end with a dot and rarely end a sentence, without that dot, in small letters.

A sentence that ends with one of them is joined with the next one, which costs a little time. So the lists may be long.
"""

from __future__ import annotations

_ENGLISH = """
    mr mrs ms mx dr prof sr jr st ste ave blvd rd hwy ln ct pl pkwy rte sq bldg fl flr rm apt dept no nos vol vols
    vs etc inc ltd co corp llc est approx appt tel ext fig figs al ca cf ed eds gen col maj capt cmdr lt sgt cpl pvt
    rev hon gov sen rep pres supt mt ft lb lbs oz min sec hr hrs yr yrs max misc pp para ch jan feb mar apr jun jul
    aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
"""
_GERMAN = """
    abs abschn abt allg anm art aufl ausg bd bde bes betr bhf bsp bspw bzgl bzw ca dipl dr ebd ehem eigtl einschl
    entspr etc evtl exkl ff fr frl gegr geb gem gest ggf hbf hl hr hrsg ing inh inkl insb jh jhd jr kap kath lt max
    mind min mio mrd mrs msp mtl mwst nachm nr nördl od östl pfd pkt plz postf prof rd röm sa sen sek sog st std str
    südl tägl tel tsd übl usw verh vgl vorm wg westl zl zt ztr zw zzgl jan feb mär apr jun jul aug sep sept okt nov
    dez mo di mi do so
"""
_FRENCH = """
    mm mme mmes mlle mlles dr drs pr prof me mgr st ste sts av bd boul pl rte imm bât app appt art chap cf coll dept
    dép ed éd env etc ex fig hab inf sup no nos par pp réf tél vol vs janv févr fév avr juil sept oct nov déc lun
    mar mer jeu ven sam dim cie sté
"""
ABBREVIATIONS = {
    "en": frozenset(_ENGLISH.split()),
    "de": frozenset(_GERMAN.split()),
    "fr": frozenset(_FRENCH.split()),
}
ALL_ABBREVIATIONS = frozenset().union(*ABBREVIATIONS.values())

"""How the report looks: by day, by night and on paper, in colours that the colour-blind tell apart."""

from haven.cli.report_view import STATES

_SHEET = """
:root { --ink:#1c2430; --soft:#5d6878; --line:#d9dee6; --page:#fff; --card:#f6f8fa;
 --up:#8fcfb1; --down:#c8281f; --unknown:#d9c35f; --maintenance:#6a9bd8; --observed:#9aa7e0;
 --drill:#a457c2; --off:#c4cbd5; --unprotected:#eef1f5; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6eaf0; --soft:#98a3b3; --line:#333c49;
 --page:#12161c; --card:#1a2029; --up:#2f7d5a; --down:#ff5b50; --unknown:#8d7c2e;
 --maintenance:#3b6ba8; --observed:#5660a0; --drill:#c07be0; --off:#454e5b; --unprotected:#1d232c; } }
@media print { :root { --ink:#000; --soft:#444; --line:#bbb; --page:#fff; --card:#fff; }
 body { padding:0; } .wide table,.wide svg { min-width:0; } section { break-inside:avoid; }
 * { print-color-adjust:exact; -webkit-print-color-adjust:exact; } }
* { box-sizing:border-box; }
body { font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif; color:var(--ink);
 background:var(--page); margin:0 auto; padding:32px 24px 48px; max-width:1080px; }
h1 { font-size:22px; margin:0 0 2px; } h2 { font-size:16px; margin:32px 0 10px; }
p { margin:0; } .soft { color:var(--soft); } footer { margin-top:20px; font-size:13px; }
.figures { display:flex; flex-wrap:wrap; gap:12px; margin:22px 0 6px; }
.figure { background:var(--card); border:1px solid var(--line); border-radius:8px; flex:1;
 padding:10px 16px; min-width:130px; }
.figure b { display:block; font-size:20px; font-variant-numeric:tabular-nums; white-space:nowrap; }
.figure span { color:var(--soft); white-space:nowrap; }
.wide { overflow-x:auto; } .wide table,.wide svg { min-width:680px; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; font-size:14px; }
th,td { text-align:left; padding:6px 14px 6px 0; border-bottom:1px solid var(--line); vertical-align:top; }
th { color:var(--soft); font-weight:600; } td.n { white-space:nowrap; } tr.apart td { color:var(--soft); }
svg { display:block; width:100%; height:auto; }
svg text { fill:var(--ink); font:13px system-ui,sans-serif; }
svg text.soft { fill:var(--soft); font-size:12px; } svg line { stroke:var(--line); }
.legend { display:flex; flex-wrap:wrap; gap:4px 18px; color:var(--soft); margin:8px 0 0; font-size:13px; }
.legend i { display:inline-block; width:12px; height:12px; border-radius:3px; margin-right:6px;
 vertical-align:-1px; }
"""
STYLE = _SHEET + "\n".join(f".{state} {{ fill:var(--{state}); background:var(--{state}); }}" for state in STATES)

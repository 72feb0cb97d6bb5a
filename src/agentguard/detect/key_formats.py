"""The published formats of keys and tokens, one a row: who issues it, and its shape.

A shape begins with its prefix, as it is written, and ends where the characters of
its body end. The sources stand in ``docs/detect-secrets.md``.
"""

from __future__ import annotations

from typing import Final

_WORD: Final = "[A-Za-z0-9_]"
_URL64: Final = "[A-Za-z0-9_-]"
_B64: Final = "[A-Za-z0-9+/]"
_ALNUM: Final = "[A-Za-z0-9]"
_HEX: Final = "[0-9a-fA-F]"

KEY_FORMATS: Final[tuple[tuple[str, str], ...]] = (
    # Language models
    ("Anthropic", rf"sk-ant-(?:[a-z]{{3,8}}[0-9]{{2}}-)?{_URL64}{{24,}}+"),
    ("OpenRouter", r"sk-or-v[0-9]-[0-9a-f]{48,}+"),
    ("Langfuse", rf"(?:sk|pk)-lf-{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"),
    ("OpenAI", rf"sk-(?:proj|svcacct|admin|None|service)-{_URL64}{{20,}}+"),
    ("OpenAI and its kin", rf"sk-(?=[A-Za-z0-9_-]*[A-Za-z0-9]{{16}}){_URL64}{{20,}}+"),
    ("OpenAI session", rf"sess-{_ALNUM}{{40}}"),
    ("Hugging Face", rf"hf_{_ALNUM}{{30,40}}+"),
    ("Hugging Face organization", rf"api_org_{_ALNUM}{{30,40}}+"),
    ("Groq", rf"gsk_{_ALNUM}{{40,60}}+"),
    ("Replicate", rf"r8_{_ALNUM}{{37,40}}+"),
    ("Perplexity", rf"pplx-{_ALNUM}{{40,60}}+"),
    ("xAI", rf"xai-{_ALNUM}{{70,90}}+"),
    ("Fireworks", rf"fw_{_ALNUM}{{22,24}}+"),
    ("Cerebras", rf"csk-{_ALNUM}{{40,60}}+"),
    ("NVIDIA", rf"nvapi-{_URL64}{{60,75}}+"),
    ("LangSmith", rf"lsv2_(?:pt|sk)_{_HEX}{{32}}_{_HEX}{{10}}"),
    ("LlamaCloud", rf"llx-{_ALNUM}{{40,60}}+"),
    ("Tavily", rf"tvly-(?:dev-|prod-)?{_URL64}{{28,60}}+"),
    ("Firecrawl", r"fc-[0-9a-f]{32}"),
    ("Pinecone", rf"pcsk_{_WORD}{{60,80}}+"),
    ("Jina", rf"jina_{_WORD}{{50,70}}+"),
    ("Voyage", rf"pa-{_URL64}{{40,46}}+"),
    ("Upstage", rf"up_{_ALNUM}{{29,34}}+"),
    ("ElevenLabs", r"sk_[0-9a-f]{48}"),
    # Clouds
    ("AWS key id", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}"),
    ("AWS Bedrock", rf"ABSK{_B64}{{100,280}}+=*"),
    ("AWS Bedrock short-lived", rf"bedrock-api-key-{_B64}{{40,}}+=*"),
    ("Google", rf"AIza{_URL64}{{35}}"),
    ("Google OAuth client", rf"GOCSPX-{_URL64}{{28}}"),
    ("Google OAuth access", r"ya29\.[A-Za-z0-9_.-]{40,}+"),
    ("Google OAuth refresh", rf"1//0{_URL64}{{40,120}}+"),
    ("Azure Entra", r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}+"),
    ("DigitalOcean", r"do[opr]_v1_[0-9a-f]{64}"),
    ("Alibaba", rf"LTAI{_ALNUM}{{16,24}}+"),
    ("Tencent", rf"AKID{_ALNUM}{{32}}"),
    ("Heroku", rf"HRKU-{_URL64}{{58,70}}+"),
    ("Fly.io", rf"(?:fo1_{_URL64}{{43}}|fm[12][ar]?_{_B64}{{80,}}+=*)"),
    ("Scalingo", rf"tk-us-{_URL64}{{48}}"),
    ("PlanetScale", r"pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_.=-]{32,64}+"),
    ("Supabase", r"sb(?:p|_secret|_publishable)_[A-Za-z0-9_]{30,60}+"),
    ("ClickHouse", rf"4b1d{_ALNUM}{{38}}"),
    ("Cloudflare origin", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    ("Vercel", rf"vc[apirk]_{_ALNUM}{{24,60}}+"),
    ("Netlify", rf"nfp_{_ALNUM}{{36,40}}+"),
    ("Yandex", rf"AQVN{_URL64}{{35,38}}+"),
    # Code, packages and delivery
    ("GitHub", rf"gh[opsur]_{_ALNUM}{{36,255}}+"),
    ("GitHub fine-grained", rf"github_pat_{_WORD}{{50,255}}+"),
    (
        "GitLab",
        r"(?:glpat|gldt|glrt|glptt|glft|glimt|glagent|gloas|glsoat|glffct|glcbt|glwt|glrtr)-"
        r"[A-Za-z0-9_.-]{20,300}+",
    ),
    ("GitLab runner", rf"GR1348941{_URL64}{{20}}"),
    ("Bitbucket", rf"ATBB{_ALNUM}{{28,40}}+"),
    ("Atlassian", r"ATATT3[A-Za-z0-9_=-]{80,250}+"),
    ("npm", rf"npm_{_ALNUM}{{36}}"),
    ("PyPI", rf"pypi-Ag{_URL64}{{48,}}+"),
    ("RubyGems", r"rubygems_[0-9a-f]{48}"),
    ("crates.io", rf"cio{_ALNUM}{{32}}"),
    ("NuGet", r"oy2[a-z0-9]{43}"),
    ("Clojars", r"CLOJARS_[0-9a-z]{60}"),
    ("Docker Hub", rf"dckr_(?:pat|oat)_{_URL64}{{26,40}}+"),
    ("Artifactory", rf"(?:AKCp{_ALNUM}{{69}}|cmVmd{_ALNUM}{{59}})"),
    ("Terraform Cloud", rf"{_ALNUM}{{14}}\.atlasv1\.[A-Za-z0-9_=-]{{60,70}}+"),
    ("HashiCorp Vault", rf"hv[sbr]\.{_URL64}{{24,}}+"),
    ("HashiCorp Vault, older", rf"s\.{_ALNUM}{{24}}"),
    ("Pulumi", r"pul-[0-9a-f]{40}"),
    (
        "Doppler",
        rf"dp\.(?:pt|st|ct|scim|audit|sa|said)\.(?:[a-z0-9_-]{{2,35}}\.)?{_ALNUM}{{40,44}}",
    ),
    ("1Password", r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}"),
    ("1Password service", rf"ops_eyJ{_B64}{{200,}}+=*"),
    ("Postman", rf"PMAK-{_HEX}{{24}}-{_HEX}{{34}}"),
    ("Prefect", rf"pn[ub]_{_ALNUM}{{36}}"),
    ("ReadMe", r"rdme_[0-9a-z]{70}"),
    ("Sourcegraph", rf"sgp_(?:(?:{_HEX}{{16}}|local)_)?{_HEX}{{40}}"),
    ("Octopus Deploy", r"API-[A-Z0-9]{26}"),
    ("OpenShift", rf"sha256~{_URL64}{{43}}"),
    ("Harness", rf"(?:pat|sat)\.{_URL64}{{22}}\.{_ALNUM}{{24}}\.{_ALNUM}{{20}}"),
    ("Buildkite", rf"bk(?:u|a|et|ct)_{_ALNUM}{{30,50}}+"),
    ("CircleCI", rf"CCIP(?:AT|RJ)_{_ALNUM}{{20,24}}_[0-9a-f]{{40}}"),
    ("SonarQube", r"sq[upa]_[0-9a-f]{40}"),
    ("Snyk", r"snyk_(?:uat|sat)\.[A-Za-z0-9_.-]{40,}+"),
    ("Infracost", rf"ico-{_ALNUM}{{32}}"),
    ("age", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    # Data and observability
    ("Databricks", r"dapi[0-9a-f]{32}(?:-[0-9])?"),
    ("Airtable", rf"pat{_ALNUM}{{14}}\.[0-9a-f]{{64}}"),
    ("Notion", rf"(?:ntn_{_ALNUM}{{40,50}}+|secret_{_ALNUM}{{43}})"),
    ("Linear", rf"lin_(?:api|oauth)_{_ALNUM}{{32,64}}+"),
    ("Figma", rf"fig[du]_{_URL64}{{40,50}}+"),
    (
        "Grafana",
        rf"(?:glsa_{_ALNUM}{{32}}_{_HEX}{{8}}|glc_{_B64}{{32,400}}+=*|eyJrIjoi{_ALNUM}{{60,400}}+=*)",
    ),
    ("Dynatrace", r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("New Relic", r"(?:NRAK-[A-Z0-9]{27}|NRII-[A-Za-z0-9-]{32}|NRJS-[0-9a-f]{19})"),
    ("Sentry", r"(?:sntryu_[0-9a-f]{64}|sntrys_eyJ[A-Za-z0-9+/=_]{60,}+)"),
    ("PostHog", rf"ph[cx]_{_ALNUM}{{40,50}}+"),
    ("LaunchDarkly", rf"(?:sdk|mob)-{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"),
    ("Mapbox", rf"[sp]k\.eyJ{_URL64}{{40,120}}+\.{_URL64}{{20,24}}+"),
    ("MaxMind", rf"{_ALNUM}{{6}}_{_ALNUM}{{29}}_mmk"),
    # Messages and mail
    ("Slack", r"xox[abopesr]-(?:[0-9]{1,14}-)?[0-9]{5,14}-[A-Za-z0-9-]{10,110}+"),
    ("Slack legacy", rf"xox[arps]-(?:[0-9]-)?{_ALNUM}{{10,60}}+"),
    ("Slack configuration", rf"xoxe(?:\.xox[bp])?-[0-9]-{_ALNUM}{{60,180}}+"),
    ("Slack app", r"xapp-[0-9]-[A-Za-z0-9]+-[0-9]+-[A-Za-z0-9]+"),
    ("Telegram", rf"[0-9]{{5,16}}:A{_URL64}{{34}}"),
    ("Discord bot", rf"[MNO]{_URL64}{{23,27}}\.{_URL64}{{6,7}}\.{_URL64}{{27,40}}+"),
    ("SendGrid", rf"SG\.{_URL64}{{16,32}}\.{_URL64}{{32,64}}+"),
    ("Mailgun", rf"key-{_ALNUM}{{32}}"),
    ("Mailchimp", r"[0-9a-f]{32}-us[0-9]{1,2}"),
    ("Brevo", rf"x(?:keysib|smtpsib)-[0-9a-f]{{64}}-{_ALNUM}{{16}}"),
    ("Resend", rf"re_{_ALNUM}{{6,12}}_{_ALNUM}{{20,32}}+"),
    ("Twilio", rf"SK{_HEX}{{32}}"),
    ("Typeform", r"tfp_[A-Za-z0-9_.=-]{40,64}+"),
    ("HubSpot", rf"pat-(?:na|eu|ap)[0-9]-{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}"),
    ("Facebook", rf"EAA{_ALNUM}{{90,}}+"),
    # Money and shops
    ("Stripe", rf"(?:sk|rk)_(?:live|test|prod)_{_ALNUM}{{10,120}}+"),
    ("Stripe webhook", rf"whsec_{_B64}{{24,64}}+=*"),
    ("Shopify", rf"shp(?:at|ca|pa|ss|tka)_{_HEX}{{32}}"),
    ("Square", rf"(?:EAAA{_URL64}{{56,64}}+|sq0(?:atp|csp)-{_URL64}{{22,60}}+)"),
    ("PayPal Braintree", r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}"),
    ("Adyen", rf"AQE{_B64}{{3,}}+[A-Za-z0-9+/=.!~*'()_{{}}|<>^%#-]{{60,}}+"),
    (
        "Plaid",
        rf"access-(?:sandbox|development|production)-{_HEX}{{8}}-(?:{_HEX}{{4}}-){{3}}{_HEX}{{12}}",
    ),
    ("Shippo", rf"shippo_(?:live|test)_{_HEX}{{40}}"),
    ("EasyPost", rf"EZ[AT]K{_ALNUM}{{54}}"),
    ("Duffel", r"duffel_(?:test|live)_[A-Za-z0-9_=-]{43}"),
    ("Flutterwave", rf"FLW(?:SECK|PUBK)(?:_TEST)?-{_ALNUM}{{12,40}}(?:-X)?"),
    ("Frame.io", r"fio-u-[A-Za-z0-9_=-]{64}"),
    ("Adobe", rf"p8e-{_ALNUM}{{32}}"),
    ("Toss Payments", rf"(?:live|test)_g?[sc]k_{_ALNUM}{{20,40}}+"),
    # Addresses that are secrets
    (
        "Slack webhook",
        r"https://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,80}+",
    ),
    (
        "Discord webhook",
        rf"https://(?:\w{{2,8}}\.)?discord(?:app)?\.com/api/(?:v[0-9]{{1,2}}/)?webhooks/[0-9]{{15,22}}/{_URL64}{{40,90}}+",
    ),
    (
        "Teams webhook",
        r"https://[a-z0-9]{1,40}\.webhook\.office\.com/webhookb2/[A-Za-z0-9@/-]{60,240}+",
    ),
)
"""Who issues it, and a pattern that begins with its prefix."""

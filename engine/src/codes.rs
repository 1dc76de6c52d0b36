//! Every code, its title and its page: the one table.
//!
//! Ranges: `LA00xx` YAML, `LA01xx` shape and ids, `LA02xx` edges, references and templates, `LA1xxx` configuration
//! of nodes and policies, `LA2xxx` failures of nodes and runs, `LA3xxx` wrong use of the command line or API,
//! `LA4xxx` requests to the server, `LA5xxx` stores. A code is never reused. `docs/errors/<code>.md` has a page for each.

use crate::error::Code;

macro_rules! codes {
    ($($name:ident = $code:literal: $title:literal;)+) => {
        $(#[doc = $title] pub const $name: Code = Code($code);)+

        /// Every code with its title, in order.
        pub const ALL: &[(Code, &str)] = &[$((Code($code), $title)),+];
    };
}

codes! {
    // LA00xx: YAML
    YAML_SYNTAX = "LA0001": "the file is not valid YAML or JSON";
    FILE_UNREADABLE = "LA0002": "the file cannot be read";
    FILE_TOO_LARGE = "LA0003": "the file is too large";
    NOT_UTF8 = "LA0004": "the file is not UTF-8 text";
    TOO_DEEP = "LA0005": "lists and maps are nested too deeply";
    TOO_MANY_ALIASES = "LA0006": "aliases make the document too large";
    DUPLICATE_KEY = "LA0007": "a key stands twice in a map";
    BAD_KEY = "LA0008": "a key is not a text";
    UNKNOWN_ANCHOR = "LA0009": "an alias has no anchor";
    BAD_MERGE = "LA0010": "a merge key names no map";
    BAD_NUMBER = "LA0011": "a number cannot be held";
    BAD_TAG = "LA0012": "a YAML tag is not known or does not fit";
    NOT_EDITABLE = "LA0013": "a file cannot be edited safely at a place";
    UNQUOTED_TEMPLATE = "LA0020": "a template is not quoted";
    COMMENT_IN_TEXT = "LA0021": "a comment ends a text";
    COMMA_IN_TEXT = "LA0022": "a comma ends a text inside braces";
    TAB = "LA0023": "a tab is used for indentation";
    DOCUMENT_MARKER = "LA0024": "a file holds more than one document";
    OLD_BOOLEAN = "LA0025": "a text looks like a boolean of older YAML";

    // LA01xx: shape, ids, types
    UNKNOWN_FIELD = "LA0101": "unknown field";
    MISSING_FIELD = "LA0102": "missing field";
    WRONG_TYPE = "LA0103": "a field has a value of the wrong type";
    WRONG_CHOICE = "LA0104": "a field has none of the values that it allows";
    OUT_OF_RANGE = "LA0105": "a number or a length is out of range";
    BARE_NUMBER = "LA0106": "a duration, a size or money has no unit";
    WRONG_FORM = "LA0107": "a text has the wrong form";
    TEMPLATE_NOT_READ = "LA0108": "a template stands where templates are not read";
    TEMPLATE_NOT_ALONE = "LA0109": "a template with text around it cannot give this type";
    BAD_TYPE = "LA0110": "a declared type is wrong";
    BAD_DEFAULT = "LA0111": "a default does not fit its type";
    NAME_NOT_ALLOWED = "LA0112": "a name comes from a template, and nothing says which it may be";
    NEWER_FORMAT = "LA0150": "a file has a newer format";
    UNKNOWN_WORKFLOW = "LA0151": "unknown workflow";
    WORKFLOW_TWICE = "LA0152": "two workflows have the same name";
    WORKFLOW_RECURSION = "LA0153": "a workflow calls itself";
    INCLUDE_REFUSED = "LA0154": "a file may not be included";
    INCLUDE_UNREADABLE = "LA0155": "an included file cannot be read";
    INVALID_ID = "LA0160": "an id or name has the wrong form";
    RESERVED_ID = "LA0161": "an id is a reserved word";
    HIDDEN_ID = "LA0162": "an id in a body hides one outside";
    UNKNOWN_NODE_TYPE = "LA0163": "unknown node type";
    OLD_NODE_TYPE = "LA0164": "an old name of a node type";
    MORE_FINDINGS = "LA0199": "there are more findings";

    // LA02xx: edges, references, templates
    TEMPLATE_SYNTAX = "LA0201": "a template cannot be parsed";
    UNKNOWN_NODE = "LA0203": "unknown node or root";
    NO_SUCH_MEMBER = "LA0204": "a value does not have this member";
    UNKNOWN_MEMBER = "LA0205": "a root does not have this member";
    UNKNOWN_PORT = "LA0206": "unknown port";
    OUT_OF_REACH = "LA0207": "a node cannot be seen from here";
    ROOT_NOT_HERE = "LA0208": "a root has no meaning here";
    WRONG_LONE_TYPE = "LA0209": "an expression can never give the type that a field takes";
    NEVER_RUNS = "LA0210": "a node can never run";
    UNREACHABLE = "LA0211": "a node waits for one that can never run";
    SKIPPED_BY_REFERENCE = "LA0212": "a reference can skip a node";
    MAY_BE_MISSING = "LA0213": "a result that may be missing is read without a guard";
    CYCLE = "LA0214": "nodes wait for each other in a circle";
    UNUSED_RESULT = "LA0215": "nothing uses the result of a node";
    UNUSED_INPUT = "LA0216": "an input is never used";
    CLOSED_PORT = "LA0217": "a port never opens";
    TIMEOUT_UNSEEN = "LA0218": "nothing happens when a node runs out of time";
    TIMEOUT_WITHOUT_USE = "LA0219": "a timeout means nothing here";
    UNDECLARED_SECRET = "LA0220": "a secret is not declared";
    UNUSED_SECRET = "LA0221": "a secret is declared and not used";
    SECRET_MISPLACED = "LA0222": "a secret stands in a field that is not marked for secrets";
    UNORDERED_WRITERS = "LA0223": "two nodes touch one variable in no fixed order";
    PARALLEL_WRITE = "LA0224": "passes that run at once write one variable";
    QUEUE_WITHOUT_USE = "LA0225": "a queue means nothing here";
    TEMPLATE_UNCLOSED = "LA0230": "a template tag or block is never closed";
    TEMPLATE_EMPTY = "LA0231": "a template has nothing between its braces";
    TEMPLATE_TAG = "LA0232": "a template uses a tag that does not exist";
    TEMPLATE_RESERVED = "LA0233": "a template assigns to a reserved name";
    TEMPLATE_NO_ELSE = "LA0234": "an inline `if` has no `else`";
    TEMPLATE_FILTER = "LA0235": "a template uses an unknown filter";
    TEMPLATE_TEST = "LA0236": "a template uses an unknown test";
    TEMPLATE_FUNCTION = "LA0237": "a template calls an unknown function or method";
    SECRET_NOT_WHOLE = "LA0238": "a secret does not stand whole";
    TEMPLATE_TOO_DEEP = "LA0239": "a template is nested too deep";
    STREAM_EXPRESSION = "LA0240": "an answer shows a text only when it is complete";
    STREAM_COPIED = "LA0241": "an answer shows a copy of a text that could be shown as it comes";
    STREAM_WHEN = "LA0242": "the condition of an answer holds its text back";
    STREAM_BEHIND = "LA0243": "an answer waits for a node that holds its text back";
    STREAM_ORDER = "LA0244": "an earlier part of an answer holds its text back";
    COMPOSITE_FIELD = "LA0260": "a field of a composite is declared in a way that cannot be";
    COMPOSITE_PLACE = "LA0261": "a field of a composite stands where it cannot";
    COMPOSITE_NAME = "LA0262": "the name of a composite is taken";
    COMPOSITE_INSIDE = "LA0263": "the nodes of a composite cannot be built with these fields";
    COMPOSITE_BROKEN = "LA0264": "a node is of a composite that has errors";
    COMPOSITE_ROOT = "LA0265": "a node of a composite reads something of the workflow around it";
    TOOL_NAME = "LA0266": "a tool has a name that a model cannot call";
    TOOL_KIND = "LA0267": "a tool is not exactly one thing";
    TOOL_APPROVAL = "LA0268": "a tool that acts on the outside is called without approval";
    TOOL_HOSTS = "LA0269": "a tool does not say which hosts it may reach";
    TOOL_UNDESCRIBED = "LA0270": "a model is not told when to use a tool";
    TOOL_OPTION = "LA0271": "an option does not go with this kind of tool";
    TOOL_OPENAPI = "LA0272": "an OpenAPI description cannot be used";
    TOOL_FILES = "LA0273": "a model cannot pass files to a tool";

    // LA1xxx: configuration
    INVALID_CONFIG = "LA1001": "a field of a node has a wrong value";
    CAPABILITY_ABSENT = "LA1004": "this process lacks something that a node needs";
    BAD_CRON = "LA1010": "a schedule cannot be read";
    BAD_TIME_ZONE = "LA1011": "unknown time zone";
    UNKNOWN_INPUT = "LA1012": "a workflow does not have this input";
    MISSING_INPUT = "LA1013": "a workflow needs an input that is not passed";
    INPUT_MISFIT = "LA1014": "an input does not fit its declared type";
    RETRY_LIMITS = "LA1015": "the waits of a retry policy are out of order";
    RETRY_WITHOUT_USE = "LA1016": "a retry policy changes nothing";
    STAND_IN_MISFIT = "LA1017": "outputs that stand in do not fit the node";
    DURABILITY_END = "LA1018": "something cannot be kept under `durability: end`";
    VARIABLE_WITHOUT_DEFAULT = "LA1019": "a conversation variable has no default";
    SCHEDULE_NEVER = "LA1020": "a schedule never fires";
    HOOK_AUTH = "LA1021": "a webhook does not say how it is signed";
    HOOK_TWICE = "LA1022": "two webhooks of a workflow take the same requests";
    HOOK_UNHEARD = "LA1023": "a reply to a webhook answers nobody";

    // LA11xx: configuration of nodes of the families flow and data
    PORT_NAME = "LA1101": "a port has a name that is taken or cannot be written";
    NO_CASES = "LA1102": "a branching node has no cases";
    CASE_NEVER_TAKEN = "LA1103": "a case can never be taken";
    CASE_NOT_LITERAL = "LA1104": "a case of `switch` is a template";
    CONDITION_SHAPE = "LA1105": "a comparison is not complete";
    CONTAINER_LIMIT = "LA1106": "a limit of a container is out of range";
    LOOP_STATE = "LA1107": "`next` changes something that `state` does not have";
    WAIT_FOR = "LA1108": "a `wait` does not say what it waits for";
    NO_ACTIONS = "LA1109": "a `human-input` has no actions";
    VARIABLE_PATH = "LA1110": "a path names no variable of the conversation";
    VARIABLE_TWICE = "LA1111": "an `assigner` changes a variable twice";
    NOTHING_TO_DO = "LA1112": "a node has nothing to do";
    LIST_OPTIONS = "LA1113": "options of a `list-operator` do not go together";
    JSON_PATH = "LA1114": "a JSONPath cannot be read";
    FAIL_CODE = "LA1115": "a code of `fail` is not allowed";
    UNTIL_CONSTANT = "LA1116": "`until` never changes";
    NOT_A_LIST_CONFIG = "LA1117": "a field that takes a list holds something else";
    WORKFLOW_NAME = "LA1118": "a `workflow` node names no workflow";
    MODEL_CHOICE = "LA1150": "`model` names no model";
    MESSAGE_FORM = "LA1151": "a message is not exactly one thing";

    // LA113x: configuration of code
    CODE_TEXT = "LA1130": "a code node has no code, or two";
    CODE_LIMITS = "LA1131": "a limit of a code node lets nothing run";
    CODE_UNPARSED = "LA1132": "the code of a node cannot be parsed";
    CODE_NO_MAIN_FOUND = "LA1133": "the code of a node has no `main`";
    CODE_PARAMETERS = "LA1134": "`main` and the inputs of a node do not go together";
    CODE_IMPORT = "LA1135": "the code of a node imports a module that is not there";
    CODE_BRACES = "LA1136": "the code of a node holds braces of a template";
    CODE_UNCHECKED = "LA1137": "the code of a node is not checked";

    // LA12xx: configuration of nodes of the family io
    HTTP_CONFIG = "LA1201": "an HTTP request is described in a way that cannot be sent";
    FILES_CONFIG = "LA1202": "a file node is described in a way that cannot work";
    HTTP_SECRET = "LA1203": "a secret may reach someone else";
    REPLY_CONFIG = "LA1204": "a reply to a webhook is described in a way that cannot be sent";

    // LA2xxx: runs
    TEMPLATE_FAILED = "LA2001": "a template could not be rendered";
    TEMPLATE_FUEL = "LA2002": "a template did too much work or grew too large";
    NODE_TIMEOUT = "LA2003": "a node took longer than its timeout";
    NODE_LOST = "LA2004": "the process that ran a node died";
    TOO_MANY_FRAMES = "LA2005": "a container has too many passes";
    RUN_TOO_DEEP = "LA2006": "runs start each other too deep";
    CHILD_CANCELLED = "LA2007": "the run that a node started was cancelled";
    CHILD_INPUTS = "LA2008": "the inputs of the run that a node starts do not fit";
    FRAME_FAILED = "LA2009": "a pass of a container failed";
    OUT_OF_BUDGET = "LA2010": "the budget of a run is used up";
    RUN_TIMEOUT = "LA2011": "a run took longer than its timeout";
    HANDLER_TIMEOUT = "LA2012": "`on_failure` or `finally` took too long";
    RUNS_FULL = "LA2013": "as many runs go on as may at once";
    RUN_DEADLY = "LA2020": "a run ends the processes that execute it";

    // LA21xx: failures of nodes of the families flow and data
    FAILED = "LA2100": "a `fail` node was reached";
    COMPARISON = "LA2101": "a comparison does not take a value of this type";
    NOT_A_LIST = "LA2102": "a node was given something else than a list";
    LOOP_LIMIT = "LA2103": "a loop reached its limit of rounds";
    CHILD_FAILED = "LA2104": "another workflow failed";
    BAD_TIME = "LA2105": "a moment or a duration cannot be read";
    VARIABLE_UNKNOWN = "LA2106": "the conversation does not declare a variable";
    VARIABLE_MISFIT = "LA2107": "a value does not fit a variable of the conversation";
    UNLIKE_ITEMS = "LA2108": "items cannot be put in order";
    BAD_JSON = "LA2109": "a text is not JSON";

    // LA22xx: failures of nodes of the family io
    HTTP_ADDRESS_REFUSED = "LA2201": "a request to an address that is not public was refused";
    HTTP_URL = "LA2202": "a text is not a URL that can be requested";
    HTTP_UNREACHABLE = "LA2203": "a server could not be reached, or the connection broke";
    HTTP_TIMEOUT = "LA2204": "a server took too long to answer";
    HTTP_REFUSED = "LA2205": "a server refused a request";
    HTTP_DOWN = "LA2206": "a server could not serve a request";
    HTTP_TOO_LARGE = "LA2207": "an answer is larger than the limit";
    HTTP_REDIRECTS = "LA2208": "a request was redirected too often";
    HTTP_ANSWER = "LA2209": "an answer does not have the declared form";
    HTTP_PAGES = "LA2210": "an answer has too many pages";
    HTTP_REQUEST = "LA2211": "a request cannot be sent as it is";
    SECRET_HOST = "LA2212": "a secret may not be sent to a host";
    FILES_PATH = "LA2220": "a file node must not use a path";
    FILES_NOT_FOUND = "LA2221": "a file or folder is not there";
    FILES_LIMIT = "LA2222": "a file is too large, or a folder holds too many files";
    FILES_NOT_TEXT = "LA2223": "a file is not UTF-8 text";
    FILES_EXISTS = "LA2224": "a file is already there";
    FILES_FAILED = "LA2225": "a file could not be read or written";
    FILES_VALUE = "LA2226": "a value is not a file of this run";
    KV_CONFLICT = "LA2240": "an entry of the key-value store has changed meanwhile";
    KV_KEY = "LA2241": "a text is not a key of the key-value store";
    REPLY_VALUE = "LA2250": "a reply to a webhook cannot be sent";

    // LA23xx: failures of code in the sandbox, as `sandbox/protocol` numbers them
    CODE_FAILED = "LA2301": "code raised an error";
    CODE_SYNTAX = "LA2302": "code cannot be parsed";
    CODE_NO_MAIN = "LA2303": "code defines no `main`";
    CODE_MODULE = "LA2304": "code imports a module that is not there";
    CODE_OUTPUTS = "LA2305": "what code returned cannot be its outputs";
    CODE_LIMIT = "LA2306": "code exceeded a limit";
    CODE_REFUSED = "LA2307": "code tried what the sandbox does not allow";
    CODE_EXITED = "LA2308": "code ended its process";
    SANDBOX_REQUEST = "LA2309": "the sandbox cannot serve a request as it is";
    SANDBOX_BUSY = "LA2310": "too many calls wait for the sandbox";
    SANDBOX_FAILED = "LA2311": "the sandbox is not there or failed";

    // LA24xx: language models
    PROVIDER_UNKNOWN = "LA2400": "the provider of a model is not configured";
    MODEL_NONE = "LA2401": "there is no language model";
    PROVIDER_NO_KEY = "LA2402": "a provider has no key";
    PROVIDER_WRONG_KEY = "LA2403": "a provider does not accept its key";
    PROVIDER_NOT_ALLOWED = "LA2404": "a provider does not allow a call";
    MODEL_UNKNOWN = "LA2405": "a provider does not know a model";
    PROVIDER_CONTEXT = "LA2406": "a question is too long for a model";
    PROVIDER_FILTERED = "LA2407": "a provider or a model refused a question";
    PROVIDER_RATE = "LA2408": "a provider asks to slow down";
    PROVIDER_CREDIT = "LA2409": "a provider wants to be paid";
    PROVIDER_OVERLOADED = "LA2410": "a provider cannot serve a call";
    PROVIDER_REQUEST = "LA2411": "a provider does not understand a call";
    PROVIDER_ANSWER = "LA2412": "an answer of a provider is broken";
    PROVIDER_STALLED = "LA2413": "a provider fell silent";
    PROVIDER_UNREACHABLE = "LA2414": "a provider cannot be reached";
    PROVIDER_RESTING = "LA2415": "a provider is left alone after failures";
    PROVIDER_UNABLE = "LA2416": "a model cannot do what is asked of it";

    // LA244x: models that run in the process
    LOCAL_UNKNOWN = "LA2440": "there is no such local model";
    LOCAL_MISSING = "LA2441": "the weights of a local model are not there";
    LOCAL_BROKEN = "LA2442": "the weights of a local model cannot be used";
    LOCAL_CONTEXT = "LA2443": "a question is longer than a local model can read";
    LOCAL_UNABLE = "LA2444": "a local model cannot do what is asked";
    LOCAL_SCHEMA = "LA2445": "a local model cannot be held to a schema";
    LOCAL_FETCH = "LA2446": "the weights of a local model could not be fetched";

    // LA247x: budgets
    NODE_BUDGET = "LA2470": "the budget of a node is used up";
    COST_UNKNOWN = "LA2471": "a budget of money cannot be kept, because a price is not known";
    BUDGET_WITHOUT_USE = "LA2472": "a budget limits nothing";

    // LA248x: failures of composites and tools
    FIELD_MISFIT = "LA2480": "a field of a composite has a value that does not fit";
    TOOL_ARGUMENTS = "LA2481": "the arguments of a tool do not fit";
    TOOL_CALLS = "LA2482": "what is to be called is not a list of calls";
    CALCULATION = "LA2483": "an expression cannot be calculated";
    TOOL_HOST = "LA2484": "a tool may not reach a host";
    TOOL_ANSWER = "LA2485": "a tool was answered with an error";
    MCP_UNKNOWN = "LA2486": "there is no MCP server of this name";
    MCP_PROTOCOL = "LA2487": "an MCP server does not speak the protocol";
    TOOL_OPERATION = "LA2488": "a tool does not have an operation";
    MCP_PROGRAM = "LA2489": "the program of an MCP server does not run";

    // LA25xx: failures of nodes of the family model
    MODEL_ANSWER = "LA2501": "the answer of a model does not fit";
    MODEL_NOT_ALLOWED = "LA2502": "a template names a model that is not allowed";
    MODEL_CONTEXT = "LA2503": "a value cannot be part of a question to a model";

    // LA26xx: documents and knowledge bases
    KNOWLEDGE_UNKNOWN = "LA2601": "unknown knowledge base";
    KNOWLEDGE_EXISTS = "LA2602": "a knowledge base has the name already";
    KNOWLEDGE_MODEL = "LA2603": "vectors do not fit a knowledge base";
    KNOWLEDGE_FILTER = "LA2604": "a filter of metadata is wrong";
    KNOWLEDGE_UNREACHABLE = "LA2605": "the vector store cannot be reached";
    KNOWLEDGE_INVALID = "LA2606": "a document or a name does not fit a knowledge base";
    KNOWLEDGE_NOT_ALLOWED = "LA2607": "a template names a knowledge base that is not allowed";
    CHUNK_CONFIG = "LA2608": "a text cannot be cut so";
    CHUNK_TEXT = "LA2609": "what is to be cut is no text";
    RERANK_ANSWER = "LA2610": "what a reranking model says does not fit";
    VECTOR_STORE_KEY = "LA2611": "the vector store refuses the key";
    VECTOR_STORE_REFUSED = "LA2612": "the vector store refuses a request";
    VECTOR_STORE_OLD = "LA2613": "the vector store is too old";
    VECTOR_STORE_MISSING = "LA2614": "there is no vector store that every machine reaches";
    DOCUMENT_BROKEN = "LA2651": "a document is broken";
    DOCUMENT_ENCRYPTED = "LA2652": "a document is encrypted";
    DOCUMENT_FORMAT = "LA2653": "a document has a format that is not read";
    DOCUMENT_LIMIT = "LA2654": "a document takes more than is allowed to read";
    DOCUMENT_EMPTY = "LA2655": "a document holds no text";
    DOCUMENT_READER = "LA2656": "the reader of documents cannot be used";

    // LA29xx: faults
    NODE_PANICKED = "LA2999": "a node type has a fault";

    // LA3xxx: use
    NO_WORKFLOW = "LA3001": "there is no such workflow";
    WRONG_INPUT = "LA3002": "the inputs of a run do not fit";
    INPUT_UNREADABLE = "LA3003": "an input could not be read";
    CONFIG = "LA3004": "the configuration cannot be used";
    NO_RUN = "LA3005": "there is no such run";
    UNKNOWN_NAME = "LA3006": "there is nothing of this name";
    FILE_EXISTS = "LA3007": "a file is in the way";
    OUTPUT = "LA3008": "output could not be written";
    RUN_STATE = "LA3009": "the run does not allow this now";
    SECRET_MISSING = "LA3010": "a secret is missing";
    RUN_STUCK = "LA3011": "a run cannot go on here";
    NOT_RUNNABLE = "LA3012": "a workflow with errors cannot be used";
    SECRET_WORKFLOW = "LA3013": "a secret is not meant for a workflow";
    NOT_A_CHAT = "LA3014": "a workflow is no chat";
    TEST_INVALID = "LA3100": "a test says something that cannot be";
    TEST_NODE = "LA3101": "a test names a node that the workflow does not have";
    TEST_FAKE = "LA3102": "a fake does not fit the node that it stands in for";
    TEST_NAME = "LA3103": "a test names an output or a trigger that the workflow does not have";
    TEST_WORKFLOW = "LA3104": "the workflow of a test cannot be found";
    NO_TESTS = "LA3105": "there is no test file";
    NOT_FAKED = "LA3110": "a node that acts on the outside is not faked";
    FAKES_USED_UP = "LA3111": "a node was called more often than the test fakes";
    FAKED_FAILURE = "LA3112": "a test let a node fail";
    CASSETTE_MISSING = "LA3113": "a call was not recorded";
    CASSETTE_CHANGED = "LA3114": "a request is not the one that was recorded";
    CASSETTE_UNUSED = "LA3115": "what was recorded is not used";
    CASSETTE_INVALID = "LA3116": "a cassette cannot be used";
    NOT_RECORDED = "LA3117": "calls could not be recorded";
    EVAL_CASES = "LA3118": "a data set cannot be used";
    EVAL_MODELS = "LA3119": "models cannot be compared by a workflow";
    SANDBOX_KEY_REFUSED = "LA3120": "the key of the sandbox could be guessed";
    SANDBOX_NO_KEY = "LA3121": "the sandbox has no key";
    SANDBOX_SETTINGS = "LA3122": "the settings of the sandbox do not go together";
    SANDBOX_LISTEN = "LA3123": "the sandbox cannot listen";
    PACKAGES_NOT_BUILT = "LA3130": "the packages of a project are not built";
    PACKAGES_LOCK = "LA3131": "the lock of a project's packages does not fit";
    PACKAGE_NATIVE = "LA3132": "a package needs C extensions";
    PACKAGE_UNAVAILABLE = "LA3133": "a package cannot be had";
    PACKAGES_CONFLICT = "LA3134": "packages cannot stand together";
    PACKAGE_DIGEST = "LA3135": "a package is not what was locked";
    GUEST_BUILD = "LA3136": "an interpreter of the sandbox cannot be built";

    // LA40xx: requests to the server
    NO_ROUTE = "LA4001": "there is nothing that answers this request";
    REQUEST_BODY = "LA4002": "the body of a request cannot be read";
    REQUEST_PARAMETER = "LA4003": "a parameter of a request is wrong";
    OTHER_WORKFLOW = "LA4004": "a definition belongs to another workflow";
    STOPPING = "LA4005": "the server is about to stop";
    SERVER_LISTEN = "LA4006": "the server cannot listen";

    // LA41xx: who may use the server
    NOT_SIGNED_IN = "LA4101": "it is not known who calls";
    NOT_ALLOWED = "LA4102": "the caller may not do this";
    WRONG_PASSWORD = "LA4103": "a password is wrong";
    SIGN_IN_PAUSED = "LA4104": "too many passwords were wrong";
    WEAK_PASSWORD = "LA4105": "a password could be guessed";
    SESSION_ENDED = "LA4106": "a session has ended";
    LINK_DEAD = "LA4107": "a one-time link does not work any more";
    LAST_OWNER = "LA4108": "the last owner stays";
    USER_EXISTS = "LA4109": "there is a user of this e-mail address already";
    NO_USER = "LA4110": "there is no such user";
    NO_KEY = "LA4111": "there is no such API key";
    WRONG_HOST = "LA4112": "a request was sent to another name";
    WRONG_ORIGIN = "LA4113": "a page of another site called the server";
    RATE_LIMITED = "LA4114": "too many requests";
    SERVER_SECRET = "LA4115": "a secret of the server is missing, or could be guessed";

    // LA42xx: what starts runs
    NO_SCHEDULE = "LA4201": "there is no such schedule";
    SCHEDULE_TAKEN = "LA4202": "a trigger is in the way";
    FIRING_REFUSED = "LA4203": "a schedule could not start its run";
    BACKFILL = "LA4204": "a range of times cannot be caught up";
    NO_HOOK = "LA4210": "no webhook takes this request";
    HOOK_REFUSED = "LA4211": "the sender of a request to a webhook is not known";
    HOOK_TAKEN = "LA4212": "another workflow takes the requests of a webhook";
    HOOK_BODY = "LA4213": "the body of a request to a webhook cannot be read";
    HOOK_UNREADY = "LA4214": "a webhook cannot start its run";
    HOOK_RUN_FAILED = "LA4215": "the run of a webhook failed before it replied";
    HOOK_LATE = "LA4216": "the run of a webhook has not replied in time";
    AFTER_CYCLE = "LA4221": "workflows would start each other for ever";
    AFTER_DEPTH = "LA4222": "too many runs followed each other";

    // LA47xx: a server that the command line talks to
    NO_SERVER = "LA4701": "it is not said which server is meant";
    SERVER_URL = "LA4702": "the address of a server cannot be used";
    SERVER_UNREACHABLE = "LA4703": "a server cannot be reached";
    SERVER_NOT_OURS = "LA4704": "what answers is no server of LiteAgent";
    NOT_LOGGED_IN = "LA4705": "nobody is signed in at a server";
    SESSION_FILE = "LA4706": "the file with sessions cannot be used";
    DEPLOY_REFUSED = "LA4707": "some workflows were not deployed";
    DRIFT = "LA4708": "a server has something else than a folder";
    PULL_REFUSED = "LA4709": "files that were changed are not overwritten";
    BULK = "LA4710": "a bulk action cannot be done so";
    NOT_REMOTE = "LA4711": "a command does not talk to a server";

    // LA44xx: conversations, knowledge bases and WebSockets of the server
    NO_CONVERSATION = "LA4401": "there is no such conversation";
    NO_MESSAGE = "LA4402": "there is no such message";
    UPLOAD = "LA4421": "an upload cannot be read";
    UPLOAD_SIZE = "LA4422": "an upload is too large";
    SOURCE_GONE = "LA4423": "the source of a document is not kept";
    TICKET = "LA4441": "a ticket does not work";
    HANDSHAKE = "LA4442": "a request does not open a WebSocket";
    FRAME = "LA4443": "a frame of a WebSocket cannot be read";
    SUBSCRIPTIONS = "LA4444": "too much is followed over one WebSocket";

    // LA45xx: operating an installation
    NO_BACKUP = "LA4501": "a file is no backup";
    BACKUP_DAMAGED = "LA4502": "a backup is damaged";
    BACKUP_NEWER = "LA4503": "a newer release wrote a backup";
    NOT_EMPTY = "LA4504": "a backup is restored only where nothing is";
    RUN_HELD = "LA4505": "a run is held";
    BUSY = "LA4506": "too many runs wait";
    BUDGET_SPENT = "LA4507": "a budget is used up";

    // LA46xx: what is told of a server
    TRACES = "LA4601": "a setting of traces cannot be used";

    // LA43xx: secrets and files
    NO_SECRET = "LA4301": "there is no such secret in the vault";
    SECRET_UNREADABLE = "LA4302": "a secret of the vault cannot be read";
    SECRET_REFUSED = "LA4303": "a secret cannot be kept as it was given";
    SECRET_VALUE_NEEDED = "LA4304": "a secret may go to more hosts only with its value";
    OWNER_NEEDED = "LA4305": "a version uses something new that an owner has to agree to";
    NO_FILE = "LA4331": "there is no such file";
    UPLOAD_LIMIT = "LA4332": "an upload is larger than is allowed";
    UPLOAD_REFUSED = "LA4333": "an upload cannot be read";
    UPLOAD_TYPE = "LA4334": "files of a type are not taken";
    LINK_REFUSED = "LA4335": "a link to a file does not work";

    // LA5xxx: stores
    STORE = "LA5001": "the store failed";
    STORE_FULL = "LA5002": "the store has no room left";
    STORE_READ_ONLY = "LA5003": "the store can only be read";
    STORE_DAMAGED = "LA5004": "what is stored cannot be understood";
    STORE_NEWER = "LA5005": "a newer release wrote the store";
    STORE_OLDER = "LA5006": "the database was not migrated yet";
    DATABASE_ELSEWHERE = "LA5007": "a command is for SQLite files alone";
    IMPORT_REFUSED = "LA5008": "an installation cannot be imported";
    RUN_NEWER = "LA5010": "a newer release wrote a run";

    // LA51xx: queues
    QUEUE_UNREACHABLE = "LA5101": "the queue cannot be reached";
    QUEUE_REFUSED = "LA5102": "the queue refuses a command";
    QUEUE_CREDENTIALS = "LA5103": "the queue refuses the credentials";
    QUEUE_EVICTS = "LA5104": "the queue would throw jobs away";
    QUEUE_OLD = "LA5105": "the queue is too old";
    QUEUE_ADDRESS = "LA5106": "the address of the queue cannot be read";
    NO_QUEUE = "LA5107": "there is no queue between processes";

    // LA53xx: object stores
    OBJECTS_ADDRESS = "LA5301": "the address of the object store cannot be read";
    OBJECTS_UNREACHABLE = "LA5302": "the object store cannot be reached";
    OBJECTS_CREDENTIALS = "LA5303": "the object store refuses the credentials";
    OBJECTS_BUCKET = "LA5304": "the bucket is not there";
    OBJECTS_REFUSED = "LA5305": "the object store refuses a request";
}

/// The title of a code.
pub fn title(code: &str) -> Option<&'static str> {
    ALL.iter().find(|(known, _)| known.0 == code).map(|(_, title)| *title)
}

// LiveKit's agents log nowhere before this: a worker does it for real agents.

import { initializeLogger } from "@livekit/agents";

initializeLogger({ pretty: false, level: "error" });

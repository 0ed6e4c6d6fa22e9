/** Starts the page. */

import { startAnnouncer } from "./announcer.js";
import { startBanner } from "./banner.js";
import { startChannel } from "./channel.js";
import { startDrawer } from "./drawer.js";
import { startHome } from "./home.js";
import { startKeys } from "./keys.js";
import { startKit } from "./kit.js";
import { connect } from "./live.js";
import { startModal } from "./modal.js";
import { startSidebar } from "./sidebar.js";
import { on } from "./store.js";
import { startTheme } from "./theme.js";
import { startThread } from "./thread.js";
import { settle } from "./view.js";

startTheme();
on("everything", settle); // before all that show what the window looks at
startBanner();
startSidebar();
startChannel();
startThread();
startHome();
startModal();
startKit();
startDrawer();
startAnnouncer();
startKeys();
connect();

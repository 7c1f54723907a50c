// All of them, in one browser against one host, in this order: the first one makes the first administrator.
import './first_minute.js';
import './apps.js';
import './databases.js';
import './backups.js';
import './services.js';
import './handed.js';
import './plain.js';
import './people.js';
import './terminal.js';
import './crawl.js';

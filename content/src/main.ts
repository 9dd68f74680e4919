// The entry point: reads config.json and mounts the page, or shows what is wrong with the file.
import { createApp } from 'vue'
import App from './App.vue'
import ConfigErrors from './components/ConfigErrors.vue'
import { loadConfig } from './config'
import { Session } from './session'
import { openBrowserStorage, openTabStorage } from './tabStorage'
import './page.css'

const loaded = await loadConfig(fetch)
const storage = openTabStorage()
const app = loaded.kind === 'valid'
  ? createApp(App, { config: loaded.config, session: new Session(storage), storage, visits: openBrowserStorage() })
  : createApp(ConfigErrors, { problems: loaded.problems })
app.mount('#app')

// Reads config.json and mounts the page, or says on the page why it cannot start.
import { createApp } from 'vue'
import App from './App.vue'
import ConfigProblem from './components/ConfigErrors.vue'
import { loadConfig } from './config'
import { Session } from './session'
import { tabStore } from './tabStorage'
import './page.css'

const loaded = await loadConfig(fetch)
const store = tabStore()
const app = loaded.kind === 'ready'
  ? createApp(App, { config: loaded.config, session: new Session(store), store })
  : createApp(ConfigProblem, { problems: loaded.problems })
app.mount('#app')

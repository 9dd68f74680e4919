// The page's lint rules: the strict sets of ESLint, typescript-eslint and eslint-plugin-vue, and what our own house adds.
import js from '@eslint/js'
import vue from 'eslint-plugin-vue'
import { defineConfig, globalIgnores } from 'eslint/config'
import typescript from 'typescript-eslint'

export default defineConfig(
  globalIgnores(['dist']),
  js.configs.recommended,
  typescript.configs.strictTypeChecked,
  vue.configs['flat/recommended'],
  {
    languageOptions: {
      parserOptions: {
        parser: typescript.parser,
        projectService: true,
        extraFileExtensions: ['.vue'],
      },
    },
    rules: {
      // TypeScript resolves names, in templates too.
      'no-undef': 'off',
      // What arrives is `unknown` and is parsed; an assertion would only promise.
      '@typescript-eslint/consistent-type-assertions': ['error', { assertionStyle: 'never' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Text of strangers is text. Links are made of elements (MessageText.vue), never of markup.
      'vue/no-v-html': 'error',
      'vue/block-lang': ['error', { script: { lang: 'ts' } }],
      'vue/component-api-style': ['error', ['script-setup']],
      'vue/define-props-declaration': ['error', 'type-based'],
      'vue/define-emits-declaration': ['error', 'type-literal'],
      'vue/no-static-inline-styles': 'error',
      // main.ts mounts one of two components, it does not define any.
      'vue/one-component-per-file': 'off',
      'vue/no-unused-refs': 'error',
      // Layout of markup is a matter of reading, which a fixed count of attributes does not help.
      'vue/max-attributes-per-line': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/html-self-closing': ['warn', { html: { void: 'never', normal: 'always', component: 'always' } }],
    },
  },
)

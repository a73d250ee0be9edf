import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import en from "./strings/en.json";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "console";
    resources: { console: typeof en };
  }
}

void i18next.use(initReactI18next).init({
  lng: "en",
  fallbackLng: "en",
  defaultNS: "console",
  resources: { en: { console: en } },
  interpolation: { escapeValue: false }, // React escapes
});

export { i18next };

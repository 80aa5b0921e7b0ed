"use client"; // and rendered on the server all the same, where there is no DOM

import { useEffect } from "react";
import { begin } from "../page.js";

export default function Page() {
  useEffect(begin, []);
  return <visavis-avatar muted={false} />;
}

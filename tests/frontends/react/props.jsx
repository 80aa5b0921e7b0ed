// <visavis-avatar> in React: the test asks what has become of its props and events.
import React, { useEffect, useRef, useState, version } from "react";
import { createRoot } from "react-dom/client";
import "@visavis/client/element";

function App() {
  const [muted, setMuted] = useState(false);
  const avatar = useRef(null);
  useEffect(() => {
    window.told = [];
    window.setMuted = setMuted;
    const { current } = avatar;
    const note = ({ detail }) => window.told.push(detail);
    current.addEventListener("state", note);
    return () => current.removeEventListener("state", note);
  }, []);
  return <visavis-avatar ref={avatar} muted={muted} session="sess_1" token="vvt_1" speak-token="vvt_2" />;
}

window.version = version;
createRoot(document.body.appendChild(document.createElement("div"))).render(<App />);

"""Call control: SIP, the call model, IVR, ACD, CTI, storage and HTTP.

It thinks and never touches an RTP packet: audio is the job of the media gateway, reached by the messages of
`media.protocol`. Pure packages hold state machines that take the time as an argument and return what is to be done;
thin asyncio shells (`pbx.adapters`, `pbx.web`) do it; only `pbx.server` knows everybody.
"""
